"""What a compiled program needs beside its code: cache, loader, memory, threads."""
