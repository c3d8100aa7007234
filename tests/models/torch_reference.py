"""D-LinkNet and LinkNet as plain PyTorch functions over a dict of weights, for comparison.

Written from the papers and the authors' layer table, without this project's code. The dict's keys
are this project's parameter names.
"""

import torch
import torch.nn.functional as F

DEPTHS = {
    "linknet18": (2, 2, 2, 2),
    "dlinknet34": (3, 4, 6, 3),
    "linknet34": (3, 4, 6, 3),
    "dlinknet50": (3, 4, 6, 3),
    "dlinknet101": (3, 4, 23, 3),
}


class Reference:
    """Compute logits by forward(images); BatchNorm uses batch statistics if `training`."""

    def __init__(self, weights: dict, model: str, training: bool):
        self.w, self.model, self.training = weights, model, training

    def norm(self, x, name):
        w = self.w
        return F.batch_norm(
            x,
            w[f"{name}.moving_mean"],
            w[f"{name}.moving_variance"],
            w[f"{name}.gamma"],
            w[f"{name}.beta"],
            training=self.training,
            momentum=0.1,
            eps=1e-5,
        )

    def conv(self, x, name, **kwargs):
        return F.conv2d(x, self.w[f"{name}.weight"], self.w.get(f"{name}.bias"), **kwargs)

    def up(self, x, name, **kwargs):
        return F.conv_transpose2d(x, self.w[f"{name}.weight"], self.w.get(f"{name}.bias"), **kwargs)

    def sub_pixel(self, x, name):
        """Compute a sub-pixel convolution.

        PyTorch's pixel_shuffle expects a map's four channels side by side. Here they lie a quarter
        of all channels apart.
        """
        x = self.conv(x, name, padding=1)
        return F.pixel_shuffle(x.unflatten(1, (4, -1)).transpose(1, 2).flatten(1, 2), 2)

    def doubled(self, x, name):
        """Compute a decoder block's up-convolution; the shape of its weight tells the kind."""
        rows, columns = self.w[f"{name}.weight"].shape[:2]
        if rows == 4 * columns:
            return self.sub_pixel(x, name)
        if self.w[f"{name}.weight"].shape[2:] == (4, 4):
            return self.up(x, name, stride=2, padding=1, groups=rows)
        return self.up(x, name, stride=2, padding=1, output_padding=1)

    def block(self, x, name, stride):
        bottleneck = f"{name}.conv3.weight" in self.w
        if bottleneck:
            y = F.relu(self.norm(self.conv(x, f"{name}.conv1"), f"{name}.bn1"))
            y = F.relu(
                self.norm(self.conv(y, f"{name}.conv2", stride=stride, padding=1), f"{name}.bn2")
            )
            y = self.norm(self.conv(y, f"{name}.conv3"), f"{name}.bn3")
        else:
            y = F.relu(
                self.norm(self.conv(x, f"{name}.conv1", stride=stride, padding=1), f"{name}.bn1")
            )
            y = self.norm(self.conv(y, f"{name}.conv2", padding=1), f"{name}.bn2")
        if f"{name}.downsample.0.weight" in self.w:
            x = self.norm(
                self.conv(x, f"{name}.downsample.0", stride=stride), f"{name}.downsample.1"
            )
        return F.relu(x + y)

    def decoder(self, x, name):
        x = F.relu(self.norm(self.conv(x, f"{name}.conv1"), f"{name}.norm1"))
        x = F.relu(self.norm(self.doubled(x, f"{name}.up"), f"{name}.norm2"))
        return F.relu(self.norm(self.conv(x, f"{name}.conv3"), f"{name}.norm3"))

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x, "encoder.conv1", stride=2, padding=3), "encoder.bn1"))
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        stages = []
        for stage, depth in enumerate(DEPTHS[self.model], start=1):
            for number in range(depth):
                x = self.block(
                    x, f"encoder.layer{stage}.{number}", 2 if stage > 1 and number == 0 else 1
                )
            stages.append(x)
        number = 0
        centre = x
        while f"centre.dilate.{number}.weight" in self.w:
            x = F.relu(
                self.conv(x, f"centre.dilate.{number}", dilation=2**number, padding=2**number)
            )
            centre = centre + x
            number += 1
        x = self.decoder(centre, "decoder4") + stages[2]
        x = self.decoder(x, "decoder3") + stages[1]
        x = self.decoder(x, "decoder2") + stages[0]
        x = self.decoder(x, "decoder1")
        if self.w["head.up.weight"].shape[0] == 128:
            x = F.relu(self.conv(F.relu(self.sub_pixel(x, "head.up")), "head.conv1", padding=1))
            return self.conv(x, "head.conv2", padding=1)
        if "head.norm1.gamma" in self.w:
            x = F.relu(self.norm(self.up(x, "head.up", stride=2), "head.norm1"))
            x = F.relu(self.norm(self.conv(x, "head.conv1", padding=1), "head.norm2"))
            return self.conv(x, "head.conv2")
        if self.model.startswith("dlinknet"):
            x = F.relu(self.up(x, "head.up", stride=2, padding=1))
            x = F.relu(self.conv(x, "head.conv1", padding=1))
            return self.conv(x, "head.conv2", padding=1)
        x = F.relu(self.up(x, "head.up", stride=2))
        x = F.relu(self.conv(x, "head.conv1"))
        return self.conv(x, "head.conv2", padding=1)


def dice_bce(logits, truth):
    """Return binary cross-entropy by its definition on probabilities, plus 1 - Dice.

    Dice has one pixel added above and below.
    """
    p = torch.sigmoid(logits)
    bce = -(truth * F.logsigmoid(logits) + (1 - truth) * F.logsigmoid(-logits)).mean()
    return bce + 1 - (2 * (p * truth).sum() + 1) / (p.sum() + truth.sum() + 1)


def gradients(weights: dict, model: str, images, truth, training: bool, dtype) -> tuple:
    """Return (loss, {name: gradient}, weights after), computed in `dtype`.

    BatchNorm's running statistics move if `training`.
    """
    tensors = {name: torch.tensor(value, dtype=dtype) for name, value in weights.items()}
    learnt = {name: t.requires_grad_() for name, t in tensors.items() if "moving_" not in name}
    network = Reference(tensors, model, training)
    loss = dice_bce(
        network.forward(torch.tensor(images, dtype=dtype)), torch.tensor(truth, dtype=dtype)
    )
    found = torch.autograd.grad(loss, list(learnt.values()))
    return (
        loss.item(),
        {n: g.numpy() for n, g in zip(learnt, found)},
        {n: t.detach().numpy() for n, t in tensors.items()},
    )
