"""Tables and what renders them; deciding happens elsewhere."""
