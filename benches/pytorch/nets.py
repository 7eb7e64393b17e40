"""The MNIST nets of Goodfellow et al. 2014 with the hyper-parameters of its released code, as ganforge's preset of that recipe
has them: G 100 - relu 1200 - relu 1200 - sigmoid 784; D maxout 240 x 5 - maxout 240 x 5 - one logit, with dropout."""

import math

import torch
import torch.nn.functional as F
from torch import nn

# The preset of ganforge with these nets.
PRESET = "mnist-2014"
PIXELS, NOISE = 784, 100


def linear(inputs, outputs, width):
    """Weights uniform on (-width, width), biases zero."""
    layer = nn.Linear(inputs, outputs)
    nn.init.uniform_(layer.weight, -width, width)
    nn.init.zeros_(layer.bias)
    return layer


class Maxout(nn.Module):
    """The largest of several linear responses for each unit."""

    def __init__(self, inputs, units, pieces, width):
        super().__init__()
        self.responses = linear(inputs, units * pieces, width)
        self.units, self.pieces = units, pieces

    def forward(self, x):
        return self.responses(x).reshape(len(x), self.units, self.pieces).max(dim=2).values


def generator():
    layers = [linear(NOISE, 1200, 0.05), nn.ReLU(), linear(1200, 1200, 0.05), nn.ReLU(), linear(1200, PIXELS, 0.05)]
    return nn.Sequential(*layers, nn.Sigmoid())


def discriminator():
    return nn.Sequential(
        nn.Dropout(0.2),
        Maxout(PIXELS, 240, 5, 0.005),
        nn.Dropout(0.5),
        Maxout(240, 240, 5, 0.005),
        nn.Dropout(0.5),
        linear(240, 1, 0.005),
    )


def noise(n):
    """Uniform with mean 0 and variance 1."""
    return torch.empty(n, NOISE).uniform_(-math.sqrt(3), math.sqrt(3))


def loss_of_d(real, fake):
    """From logits: -(log D(x) + log(1 - D(G(z)))) / 2."""
    return (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2


def loss_of_g(fake):
    """From logits: -log D(G(z))."""
    return F.softplus(-fake).mean()


class Training:
    """Both nets and their optimisers: SGD with momentum."""

    def __init__(self, lr=0.1, momentum=0.5):
        self.g, self.d = generator(), discriminator()
        self.of_g, self.of_d = list(self.g.parameters()), list(self.d.parameters())
        self.sgd_g = torch.optim.SGD(self.of_g, lr, momentum)
        self.sgd_d = torch.optim.SGD(self.of_d, lr, momentum)

    def set(self, lr, momentum):
        for sgd in (self.sgd_g, self.sgd_d):
            sgd.param_groups[0].update(lr=lr, momentum=momentum)

    def descend(self, sgd, loss, parameters):
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters)):
            parameter.grad = gradient
        sgd.step()

    def alternating(self, x):
        """Algorithm 1 with k = 1: D, then G on fresh noise against the new D."""
        n = len(x)
        with torch.no_grad():
            images = self.g(noise(n))
        real, fake = self.d(torch.cat([x, images])).split(n)
        self.descend(self.sgd_d, loss_of_d(real, fake), self.of_d)
        self.descend(self.sgd_g, loss_of_g(self.d(self.g(noise(n)))), self.of_g)

    def simultaneous(self, x):
        """Both gradients at the old parameters, on the same noise, as the released code has it."""
        n = len(x)
        real, fake = self.d(torch.cat([x, self.g(noise(n))])).split(n)
        of_d = torch.autograd.grad(loss_of_d(real, fake), self.of_d, retain_graph=True)
        of_g = torch.autograd.grad(loss_of_g(fake), self.of_g)
        for parameter, gradient in zip(self.of_d + self.of_g, of_d + of_g):
            parameter.grad = gradient
        self.sgd_d.step()
        self.sgd_g.step()
