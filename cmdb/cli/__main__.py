"""`python -m cmdb.cli` is `cmdb`, also where the script is not on the path."""

from cmdb.cli import main

main()
