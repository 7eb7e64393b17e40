"""The convolutional presets of ganforge in PyTorch: the same layers, parameters, losses and updates.

Images are [n, c, h, w]; channels-last in memory or not is the caller's choice."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


class Same(nn.Module):
    """A convolution whose result is ceil(size / stride), the smaller half of the zeros before."""

    def __init__(self, inputs, outputs, kernel, stride):
        super().__init__()
        zeros = max(kernel - stride, 0)
        self.before, self.after = zeros // 2, zeros - zeros // 2
        is_even = self.before == self.after
        self.map = nn.Conv2d(inputs, outputs, kernel, stride, self.before if is_even else 0)
        self.pad = None if is_even else (self.before, self.after) * 2

    def forward(self, x):
        return self.map(x if self.pad is None else F.pad(x, self.pad))


class Transposed(nn.Module):
    """The adjoint of `Same`: the image grows `stride` times."""

    def __init__(self, inputs, outputs, kernel, stride):
        super().__init__()
        zeros = max(kernel - stride, 0)
        self.map = nn.ConvTranspose2d(inputs, outputs, kernel, stride, zeros // 2)
        self.more = zeros % 2

    def forward(self, x):
        y = self.map(x)
        return y[..., : -self.more, : -self.more] if self.more else y


class Apply(nn.Module):
    """A function without parameters."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def with_zeros(x):
    """Twice as high and wide, each pixel with three zeros beside it."""
    n, c, h, w = x.shape
    layout = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    y = torch.zeros(n, c, 2 * h, 2 * w).contiguous(memory_format=layout)
    y[..., ::2, ::2] = x
    return y


class Block(nn.Module):
    """Two convolutions of 3 x 3 beside a third, as the large study of Kurach et al. has them: G's with batch norm and twice the
    size, D's normalised by their spectra and half the size, or the same."""

    def __init__(self, inputs, outputs, resize, norm, transform):
        super().__init__()
        conv = lambda i, o: transform(nn.Conv2d(i, o, 3, padding=1))
        self.norms = nn.ModuleList([norm(inputs), norm(outputs)])
        self.first, self.second, self.beside = conv(inputs, outputs), conv(outputs, outputs), conv(inputs, outputs)
        self.up = with_zeros if resize == "up" else lambda x: x
        self.down = (lambda x: F.avg_pool2d(x, 2)) if resize == "down" else lambda x: x

    def forward(self, x):
        y = self.first(self.up(F.relu(self.norms[0](x))))
        y = self.down(self.second(F.relu(self.norms[1](y))))
        return y + self.down(self.beside(self.up(x)))


def leaky(slope):
    return lambda: nn.LeakyReLU(slope)


def image(channels, side):
    return Apply(lambda x: x.reshape(-1, channels, side, side))


def flat():
    return nn.Flatten()


def grow(widths, kernel, activation=nn.ReLU):
    """Transposed convolutions of stride 2, each with batch norm."""
    layers = []
    for i, o in zip(widths, widths[1:]):
        layers += [Transposed(i, o, kernel, 2), nn.BatchNorm2d(o), activation()]
    return layers


def half_tanh():
    return Apply(lambda x: (torch.tanh(x) + 1) / 2)


class Nets:
    """G and D of a preset. `sn` normalises D's weights by their spectra, where the preset does not already; with it or `gp`, D has no
    batch norm."""

    def __init__(self, preset, sn=False, gp=False):
        self.preset = preset
        self.sn = sn or preset in ("sndcgan32", "resnet32")
        self.has_norm = not (self.sn or gp)
        # Updates of D per update of G; whether D sees real and generated examples in one batch.
        self.k = 5 if preset == "resnet32" else 1
        self.is_joined = preset in ("sndcgan32", "resnet32")
        self.g, self.d, self.z, self.image = getattr(self, preset)()

    def w(self, layer):
        """Weights of D."""
        if not self.sn:
            return layer
        if isinstance(layer, Same):
            layer.map = spectral_norm(layer.map)
            return layer
        return spectral_norm(layer)

    def norm(self, kind, size):
        return [kind(size)] if self.has_norm else []

    def dcgan28(self):
        g = [nn.Linear(100, 6272), image(128, 7), nn.BatchNorm2d(128), nn.ReLU(), *grow([128, 64], 4)]
        g += [Transposed(64, 1, 4, 2), nn.Tanh()]
        d = [self.w(Same(1, 64, 4, 2)), leaky(0.2)(), self.w(Same(64, 128, 4, 2)), *self.norm(nn.BatchNorm2d, 128)]
        d += [leaky(0.2)(), flat(), self.w(nn.Linear(6272, 1))]
        return nn.Sequential(*g), nn.Sequential(*d), 100, (1, 28)

    def infogan28(self):
        act = leaky(0.2)
        g = [nn.Linear(64, 1024), nn.BatchNorm1d(1024), act(), nn.Linear(1024, 6272), nn.BatchNorm1d(6272), act()]
        g += [image(128, 7), *grow([128, 64], 4, act), Transposed(64, 1, 4, 2), nn.Sigmoid()]
        d = [self.w(Same(1, 64, 4, 2)), act(), self.w(Same(64, 128, 4, 2)), *self.norm(nn.BatchNorm2d, 128), act(), flat()]
        d += [self.w(nn.Linear(6272, 1024)), *self.norm(nn.BatchNorm1d, 1024), act(), self.w(nn.Linear(1024, 1))]
        return nn.Sequential(*g), nn.Sequential(*d), 64, (1, 28)

    def dcgan64(self):
        g = [nn.Linear(128, 8192), image(512, 4), nn.BatchNorm2d(512), nn.ReLU(), *grow([512, 256, 128, 64], 5)]
        g += [Transposed(64, 3, 5, 2), half_tanh()]
        d = [self.w(Same(3, 64, 5, 2)), leaky(0.2)()]
        for i in (64, 128, 256):
            d += [self.w(Same(i, 2 * i, 5, 2)), *self.norm(nn.BatchNorm2d, 2 * i), leaky(0.2)()]
        d += [flat(), self.w(nn.Linear(8192, 1))]
        return nn.Sequential(*g), nn.Sequential(*d), 128, (3, 64)

    def sndcgan32(self):
        g = [nn.Linear(128, 8192), nn.BatchNorm1d(8192), nn.ReLU(), image(512, 4), *grow([512, 256, 128, 64], 4)]
        g += [Transposed(64, 3, 3, 1), half_tanh()]
        d, inputs = [Apply(lambda x: 2 * x - 1)], 3
        for kernel, stride, outputs in [(3, 1, 64), *((k, s, o) for o in (128, 256, 512) for k, s in ((4, 2), (3, 1)))]:
            d += [self.w(Same(inputs, outputs, kernel, stride)), leaky(0.1)()]
            inputs = outputs
        d += [flat(), self.w(nn.Linear(8192, 1))]
        return nn.Sequential(*g), nn.Sequential(*d), 128, (3, 32)

    def resnet32(self):
        plain = lambda layer: layer
        g = [nn.Linear(128, 4096), image(256, 4), *(Block(256, 256, "up", nn.BatchNorm2d, plain) for _ in range(3))]
        g += [nn.BatchNorm2d(256), nn.ReLU(), nn.Conv2d(256, 3, 3, padding=1), nn.Sigmoid()]
        none = lambda _: nn.Identity()
        d = [Block(i, 128, resize, none, self.w) for i, resize in ((3, "down"), (128, "down"), (128, "same"), (128, "same"))]
        d += [nn.ReLU(), Apply(lambda x: x.mean((2, 3))), self.w(nn.Linear(128, 1))]
        return nn.Sequential(*g), nn.Sequential(*d), 128, (3, 32)


PRESETS = ["dcgan28", "infogan28", "dcgan64", "sndcgan32", "resnet32"]


class Training:
    """Both nets and their optimisers: Adam. One step is k updates of D, each on its own examples, then one of G on fresh noise."""

    def __init__(self, preset, sn=False, gp=False, nchw=False, k=None):
        nets = Nets(preset, sn, gp)
        self.layout = torch.contiguous_format if nchw else torch.channels_last
        self.g, self.d = (net.to(memory_format=self.layout) for net in (nets.g, nets.d))
        self.z, self.is_joined, self.has_gp, self.k = nets.z, nets.is_joined, gp, k or nets.k
        self.channels, self.side = nets.image
        self.adam_g, self.adam_d = (torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in (self.g, self.d))

    def examples(self, n):
        """Minibatches of random images, one for each update of D."""
        x = torch.rand(n, self.channels, self.side, self.side)
        return x.contiguous(memory_format=self.layout)

    def noise(self, n):
        return torch.rand(n, self.z) * 2 - 1

    def alternating(self, x):
        for part in x.chunk(self.k):
            self.update_d(part)
        n = len(x) // self.k
        loss = F.softplus(-self.d(self.g(self.noise(n)))).mean()
        self.descend(self.adam_g, loss)

    def update_d(self, x):
        n = len(x)
        with torch.no_grad():
            fake = self.g(self.noise(n))
        if self.is_joined:
            of_real, of_fake = self.d(torch.cat([x, fake])).split(n)
        else:
            of_real, of_fake = self.d(x), self.d(fake)
        loss = F.softplus(-of_real).mean() + F.softplus(of_fake).mean()
        if self.has_gp:
            loss = loss + self.penalty(x, fake)
        self.descend(self.adam_d, loss)

    def penalty(self, x, fake):
        """10 (|dD/dx~| - 1)^2 at points between real and generated images, each with its own share."""
        share = torch.rand(len(x), 1, 1, 1)
        points = (share * x + (1 - share) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(self.d(points).sum(), points, create_graph=True)
        norms = (gradient.square().sum((1, 2, 3)) + 1e-12).sqrt()
        return 10 * (norms - 1).square().mean()

    def descend(self, adam, loss):
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
