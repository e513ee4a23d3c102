"""How ``predict`` runs and what it tells meanwhile; what it runs is no concern of these."""
