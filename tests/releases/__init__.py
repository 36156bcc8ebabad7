"""What older builds wrote, kept so that this one goes on reading it."""
