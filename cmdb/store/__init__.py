"""Neo4j: the only room that speaks Cypher."""
