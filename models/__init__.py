"""Pure tensor code: encoders, losses and methods. Imports torch and itself, nothing else."""
