"""The ways to boot a real machine once into a kernel that lies there, a file each."""
