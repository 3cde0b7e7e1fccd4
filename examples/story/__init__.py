"""What the walkthrough is made of: a server, people, their clients, a model, and six steps."""
