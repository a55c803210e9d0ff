"""What is due, and the hints that say so."""
