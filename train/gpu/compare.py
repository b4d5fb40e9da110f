#!/usr/bin/env python3
"""PyTorch's pace on the network that `leukd-train pace` times: the ratio of the two is what PERFORMANCE.md records.

    python3 compare.py --program ./leukd-train --device cuda --batch 40 --size 224 --steps 20

Needs torch and torchvision. The network is torchvision's efficientnet_b3 with the same head (global max pooling, batch
normalisation, Dense 256, ReLU, Dropout 0.45, Dense 2), random weights and random pixels, with AdamW in f32; `--numbers bf16`
runs PyTorch under autocast, which keeps its weights in f32, and the trainer's pace with bfloat16 throughout: not the same work, so
say so beside the ratio. Both are timed in turn, so that a busy machine hurts both.
"""
import argparse
import json
import statistics
import subprocess
import time

import torch
import torchvision


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = torchvision.models.efficientnet_b3(weights=None).features
        self.head = torch.nn.Sequential(
            torch.nn.BatchNorm1d(1536, eps=1e-3, momentum=0.01),
            torch.nn.Linear(1536, 256),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.45),
            torch.nn.Linear(256, 2),
        )

    def forward(self, pixels):
        return self.head(self.features(pixels).amax((2, 3)))


def torch_seconds(arguments):
    device = torch.device(arguments.device)
    # As the trainer's own products: factors rounded to TF32, everything else in f32.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    network = Network().to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
    pixels = torch.rand(arguments.batch, 3, arguments.size, arguments.size, device=device)
    targets = torch.full((arguments.batch, 2), 0.5, device=device)
    seconds = []
    for step in range(arguments.warm_up + arguments.steps):
        began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=arguments.numbers == "bf16"):
            loss = torch.nn.functional.cross_entropy(network(pixels), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if step >= arguments.warm_up:
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def own_seconds(arguments):
    command = [
        arguments.program, "pace", "--json", "--recipe", "modern", "--device", arguments.device,
        "--numbers", arguments.numbers, "--batch", str(arguments.batch), "--size", str(arguments.size),
        "--steps", str(arguments.steps), "--warm-up", str(arguments.warm_up),
    ]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["median_seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="leukd-train")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--numbers", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    ratios = []
    for _ in range(arguments.rounds):
        theirs, ours = torch_seconds(arguments), own_seconds(arguments)
        ratios.append(ours / theirs)
        print(f"PyTorch {arguments.batch / theirs:.1f} images/s, leukd-train {arguments.batch / ours:.1f} images/s, "
              f"time ratio {ours / theirs:.3f}", flush=True)
    print(f"median time ratio {statistics.median(ratios):.3f} (below 1: leukd-train is faster); "
          f"torch {torch.__version__}, {arguments.device}, {arguments.numbers}, batch {arguments.batch}, {arguments.size}²")


if __name__ == "__main__":
    main()
