"""Projections of one result: terminal, HTML, JUnit."""
