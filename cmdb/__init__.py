"""What is known: the catalogue of classes, items, edges, and every change ever made."""
