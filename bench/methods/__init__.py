"""Methods: grammar, registry, and the steps themselves by stage."""
