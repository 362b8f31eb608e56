"""What keeps us safe from the outside: addresses we refuse, limits we hold."""
