"""The networks of the examples in PyTorch, with their parameters in the same order."""

import torch
from torch import nn
from torch.nn import functional

LAYERS = {"LSTM": nn.LSTM, "RNN": nn.RNN}


def digits_mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def digits_cnn():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 10),
    )


def breast_cancer():
    return nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 2))


def autoencoder():
    def network(inputs, outputs):
        first, second = nn.Linear(inputs, 128), nn.Linear(128, 128)
        return nn.Sequential(first, nn.SiLU(), second, nn.SiLU(), nn.Linear(128, outputs))

    return nn.Sequential(network(64, 2), network(2, 64))


class Adding(nn.Module):
    """The head is first, as in a dict whose keys are sorted."""

    def __init__(self, kind):
        super().__init__()
        self.head = nn.Linear(32, 1)
        self.network = LAYERS[kind](2, 32, batch_first=True)

    def forward(self, x):
        return self.head(self.network(x)[0][:, -1])[:, 0]


class Recurrent(nn.Module):
    def __init__(self, characters, width):
        super().__init__()
        self.embedding = nn.Embedding(characters, width)
        self.network = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, characters)

    def forward(self, codes):
        return self.head(self.network(self.embedding(codes))[0])


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def attend(self, x):
        batch, time, width = x.shape
        q, k, v = (
            project(x).view(batch, time, self.heads, -1).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.output(y.transpose(1, 2).reshape(batch, time, width))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, characters, width, length):
        super().__init__()
        self.embedding = nn.Embedding(characters, width)
        self.places = nn.Parameter(torch.zeros(length, width))
        self.blocks = nn.Sequential(Block(width, 4), Block(width, 4))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, characters)

    def parameters(self, recurse=True):  # a parameter of its own comes first in PyTorch's order
        first, *rest = self.embedding.parameters(), self.blocks, self.norm, self.head
        yield from first
        yield self.places
        for part in rest:
            yield from part.parameters()

    def forward(self, codes):
        x = self.embedding(codes) + self.places[: codes.shape[1]]
        return self.head(self.norm(self.blocks(x)))


def next_character(net, codes):
    logits = net(codes[:, :-1])
    return functional.cross_entropy(logits.transpose(1, 2), codes[:, 1:])


def neural_ode():
    return nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))


def solve(f, y, steps, step):
    path = []
    for _ in range(steps):
        k1 = f(y)
        k2 = f(y + step / 2 * k1)
        k3 = f(y + step / 2 * k2)
        k4 = f(y + step * k3)
        y = y + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path.append(y)
    return torch.stack(path)


def physics_informed(width):
    first, second = nn.Linear(2, width), nn.Linear(width, width)
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), nn.Linear(width, 1))


def residual(model, t, x, viscosity):
    t, x = t.requires_grad_(), x.requires_grad_()
    correction = model(torch.stack([t, x], dim=-1))[:, 0]
    u = -torch.sin(torch.pi * x) + t * (1 - x**2) * correction
    u_t, u_x = torch.autograd.grad(u.sum(), (t, x), create_graph=True)
    (u_xx,) = torch.autograd.grad(u_x.sum(), x, create_graph=True)
    return u_t + u * u_x - viscosity * u_xx


def policy_gradient():
    return nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
