"""The trainer's recipe in PyTorch, for ablate.py, which says in what it differs: network, augmentation, standardisation."""
import dataclasses
import math

import timm
import torch
import torch.nn.functional as F
from torch import nn

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
BLACK = 10  # as leukd::cell::quality
# What a captured graph needs lies on the card beforehand: nothing may be copied there while it is captured.
LUMINANCE = torch.tensor([0.299, 0.587, 0.114], device=DEVICE).view(1, 3, 1, 1)
STAINS = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
UNMIXING, STAINS = torch.linalg.inv(STAINS).to(DEVICE), STAINS.to(DEVICE)


@dataclasses.dataclass
class Recipe:
    """A configuration. Names and units are modern.toml's; what is 0 is off."""

    name: str
    note: str = ""
    model: str = "tf_efficientnet_b3"
    size: int = 112
    epochs: int = 24
    batch: int = 64
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.01
    warm_up: float = 0.06
    average: float = 0.999
    seed: int = 0
    drop_path: float = 0.2
    dropout: float = 0.45
    pool: str = "max"  # or mean
    smoothing: float = 0.05
    mixup: float = 0.1
    mixstyle: float = 0.0  # the probability that a cell's features take on another's statistics (Zhou et al. 2021)
    standardise: str = "none"  # or channels, density, luminance, interior (channels, but by the interior), silhouette
    mean: float = 112.0
    deviation: float = 36.0
    rim: float = 0.04  # of the side
    rotation: float = 180.0
    scale: float = 0.0
    stain: float = 0.0
    blur: float = 0.0
    bands: float = 0.0  # each band of spatial frequencies gains a factor of 1 / (1 + this) to 1 + this
    sharpness: float = 0.0  # all of them together, the finest most
    brightness: float = 0.0
    colour: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    residual: float = 0.0
    flat: float = 0.0
    grey: float = 0.0


class Network(nn.Module):
    def __init__(self, recipe):
        super().__init__()
        self.recipe = recipe
        self.features = timm.create_model(recipe.model, num_classes=0, global_pool="", drop_path_rate=recipe.drop_path)
        self.norm = nn.BatchNorm1d(self.features.num_features, eps=1e-3, momentum=0.01)
        self.hidden = nn.Linear(self.features.num_features, 256)
        self.dropout = nn.Dropout(recipe.dropout)
        self.classes = nn.Linear(256, 2)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.start()

    def start(self):
        """Every residual branch starts at 0, and the classes near even odds."""
        for layer, gain in [(self.hidden, 1.0), (self.classes, 0.1)]:
            nn.init.xavier_uniform_(layer.weight, gain)
            nn.init.zeros_(layer.bias)
        for block in (block for stage in self.features.blocks for block in stage if getattr(block, "has_skip", False)):
            nn.init.zeros_((block.bn3 if hasattr(block, "bn3") else block.bn2).weight)

    def forward(self, pixels):
        x = ((pixels / 255 - self.mean) / self.deviation).to(memory_format=torch.channels_last)
        x = self.features.bn1(self.features.conv_stem(x))
        for place, stage in enumerate(self.features.blocks):
            x = stage(x)
            if self.training and self.recipe.mixstyle > 0 and place < 3:
                x = mix_styles(x, self.recipe.mixstyle)
        x = self.features.bn2(self.features.conv_head(x)).float()
        x = x.amax((2, 3)) if self.recipe.pool == "max" else x.mean((2, 3))
        return self.classes(self.dropout(F.relu(self.hidden(self.norm(x)))))


def mix_styles(x, probability):
    values = x.float()
    mean = values.mean((2, 3), keepdim=True).detach()
    deviation = (values.var((2, 3), keepdim=True) + 1e-5).sqrt().detach()
    other = shuffled(len(x))
    mixed = (torch.rand(len(x), 1, 1, 1, device=DEVICE) < probability).float()
    taken = torch.rand(len(x), 1, 1, 1, device=DEVICE) * mixed
    style = [(1 - taken) * own + taken * own[other] for own in (mean, deviation)]
    return ((values - mean) / deviation * style[1] + style[0]).to(x.dtype)


def shuffled(count):
    """A random order; randperm cannot be captured."""
    return torch.argsort(torch.rand(count, device=DEVICE))


def spread(most, *shape):
    return (torch.rand(*shape, device=DEVICE) * 2 - 1) * most


def ratio(most, *shape):
    """From 1 / (1 + most) to 1 + most, its logarithm evenly."""
    return torch.exp(spread(math.log1p(most), *shape))


def foreground(x):
    return (x.amax(1, keepdim=True) > BLACK).float()


def over(values, mask):
    """Each picture's and channel's mean where the mask is 1."""
    return (values * mask).sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True).clamp(min=1)


def pose(x, recipe):
    """A flip, a turn and a magnification in one interpolation."""
    count = len(x)
    angle = spread(math.radians(recipe.rotation), count) + torch.randint(0, 4, (count,), device=DEVICE) * (math.pi / 2)
    flip = torch.where(torch.rand(count, device=DEVICE) < 0.5, -1.0, 1.0)
    scale = ratio(recipe.scale, count)
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    still = torch.zeros_like(cosine)
    rows = [torch.stack([cosine * flip, -sine, still], 1), torch.stack([sine * flip, cosine, still], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), x.shape, align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def blurred(x, most):
    """Each picture by a Gaussian of its own."""
    count, _, side, _ = x.shape
    sigma = (torch.rand(count, device=DEVICE) * most).clamp(min=0.05)
    weights = torch.exp(-0.5 * (torch.arange(-3, 4, device=DEVICE).float() / sigma[:, None]) ** 2)
    weights = (weights / weights.sum(1, keepdim=True)).repeat_interleave(3, 0)
    planes = x.reshape(1, count * 3, side, side)
    planes = F.conv2d(planes, weights.view(-1, 1, 7, 1), padding=(3, 0), groups=count * 3)
    return F.conv2d(planes, weights.view(-1, 1, 1, 7), padding=(0, 3), groups=count * 3).reshape(x.shape)


def gaussian(sigma):
    radius = max(1, int(3 * sigma + 0.5))
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1).float() / sigma) ** 2)
    return (weights / weights.sum()).to(DEVICE)


BANDS = {sigma: gaussian(sigma) for sigma in (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)}


def smooth(x, sigma):
    weights, channels = BANDS[sigma], x.shape[1]
    radius = len(weights) // 2
    x = F.conv2d(x, weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1), padding=(radius, 0), groups=channels)
    return F.conv2d(x, weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1), padding=(0, radius), groups=channels)


def band_gains(x, cell, recipe):
    """Another optics: differences of Gaussians, taken among the cell's pixels alone, and each with a gain of its own."""
    sigmas = (0.5, 1.0, 2.0, 4.0) if x.shape[-1] <= 128 else (0.7, 1.4, 2.8, 4.0)
    together = ratio(recipe.sharpness, len(x), 1, 1, 1)
    finer, total = x, 0
    for place, sigma in enumerate(sigmas):
        coarser = smooth(x * cell, sigma) / smooth(cell, sigma).clamp(min=1e-3)
        gain = ratio(recipe.bands, len(x), 1, 1, 1) * together ** (1 - place / len(sigmas))
        total = total + (finer - coarser) * gain
        finer = coarser
    return (total + finer).clamp(0, 255) * cell


def stained(x, most):
    amounts = 1 + spread(most, len(x), 3)
    mixing = torch.einsum("ij,bj,jk->bik", UNMIXING, amounts, STAINS)
    density = torch.einsum("bixy,bik->bkxy", -torch.log((x + 1) / 256), mixing)
    return (256 * torch.exp(-density) - 1).clamp(0, 255)


def lit(x, cell, recipe):
    """Lamp, exposure and tone curve."""
    count = len(x)
    if recipe.gamma > 0:
        x = 255 * (x.clamp(min=1e-3) / 255) ** ratio(recipe.gamma, count, 1, 1, 1)
    if recipe.contrast > 0:
        mean = over(x, cell)
        x = mean + (x - mean) * (1 + spread(recipe.contrast, count, 1, 1, 1))
    x = x * (1 + spread(recipe.brightness, count, 1, 1, 1)) * (1 + spread(recipe.colour, count, 3, 1, 1))
    return x.clamp(0, 255) * cell


def interior(cell, rim):
    """As crates/leukd-cell/src/interior.rs: all of a cell that is thin."""
    reach = round(rim * cell.shape[-1])
    inner = 1 - F.max_pool2d(1 - cell, 2 * reach + 1, 1, reach)
    thin = (inner.sum((2, 3), keepdim=True) * 7 < cell.sum((2, 3), keepdim=True)).float()
    return thin * cell + (1 - thin) * inner


def standardised(x, recipe):
    how, cell = recipe.standardise, foreground(x)
    if how == "none":
        return x
    if how == "silhouette":
        return cell.expand(-1, 3, -1, -1) * 128
    if how == "luminance":
        x = (x * LUMINANCE).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    if how == "density":
        x = torch.log((x + 1) / 256)
    counted = interior(cell, recipe.rim) if how in ("luminance", "interior") else cell
    mean = over(x, counted)
    deviation = over((x - mean).square(), counted).sqrt().clamp(min=0.02 if how == "density" else 2)
    return (recipe.mean + (x - mean) * recipe.deviation / deviation).clamp(0, 255) * cell


def left_over(x, recipe):
    """What a standardisation leaves of another laboratory, or less."""
    count, cell = len(x), (x.amax(1, keepdim=True) > 0).float()
    if recipe.residual > 0:
        gain, shift = 1 + spread(recipe.residual, count, 3, 1, 1), spread(recipe.residual, count, 3, 1, 1)
        x = (recipe.mean + (x - recipe.mean) * gain + recipe.deviation * shift).clamp(0, 255) * cell
    if recipe.flat > 0:
        flat = torch.rand(count, 1, 1, 1, device=DEVICE) < recipe.flat
        every = torch.ones(count, 1, 1, 1, device=DEVICE)
        kept = torch.where(flat, torch.rand(count, 1, 1, 1, device=DEVICE) * 0.5, every)
        x = (recipe.mean + (x - recipe.mean) * kept) * cell
    if recipe.grey > 0:
        grey = torch.rand(count, 1, 1, 1, device=DEVICE) < recipe.grey
        x = torch.where(grey, (x * LUMINANCE).sum(1, keepdim=True).expand_as(x), x)
    return x


def varied(x, recipe):
    x = pose(x, recipe)
    cell = foreground(x)
    if recipe.blur > 0:
        x = blurred(x, recipe.blur)
    if recipe.bands > 0 or recipe.sharpness > 0:
        x = band_gains(x, cell, recipe)
    if recipe.stain > 0:
        x = stained(x, recipe.stain)
    return left_over(standardised(lit(x, cell, recipe), recipe), recipe)
