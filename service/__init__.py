"""Online: answers next items and intents from a bundle. Never imports torch."""
