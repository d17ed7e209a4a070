"""What others write for the same task, each as its users would, in a process of its own."""
