"""The contract and the service behind it: GraphQL over FastAPI, wiring the other rooms."""
