"""What a program is: types, variables, equations, primitives, and where they came from."""
