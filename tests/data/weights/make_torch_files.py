"""Made the .pth files of this folder with PyTorch 2.11.0. Tests read the files, never run this script.

python3 make_torch_files.py
"""
import collections

import torch


def numbers(*shape, dtype=torch.float32):
    count = torch.Size(shape).numel()
    return (torch.arange(count, dtype=torch.float64) * 0.25 - 3).to(dtype).reshape(shape)


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)
        self.norm = torch.nn.BatchNorm1d(2)


torch.manual_seed(1)
network = Network()
with torch.no_grad():
    network.layer.weight.copy_(numbers(2, 3))
    network.layer.bias.copy_(numbers(2))
optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 2, 5])
saved = {"state_dict": collections.OrderedDict((k, v.clone()) for k, v in network.state_dict().items()), "epoch": 3}
network.norm(network.layer(numbers(4, 3))).sum().backward()
optimizer.step()
schedule.step()
saved["state_dict"]._metadata = network.state_dict()._metadata
saved["optimizer"] = optimizer.state_dict()
saved["schedule"] = schedule.state_dict()
saved["others"] = [None, True, 1.5, 2**70, -(2**40), "text", (1, 2), {3}, torch.Size([4, 5])]
torch.save(saved, "checkpoint.pth")

whole = numbers(4, 6)
torch.save({
    "f64": numbers(3, dtype=torch.float64),
    "f16": numbers(2, 2, dtype=torch.float16),
    "bf16": numbers(2, 2, dtype=torch.bfloat16),
    "i64": torch.tensor([-1, 2**40]),
    "i32": torch.tensor([-7, 7], dtype=torch.int32),
    "i16": torch.tensor([-300, 300], dtype=torch.int16),
    "i8": torch.tensor([-128, 127], dtype=torch.int8),
    "u8": torch.tensor([0, 255], dtype=torch.uint8),
    "bool": torch.tensor([True, False, True]),
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
    "whole": whole,
    "transposed": whole.t(),
    "column": whole[:, 2],
    "repeated": torch.tensor([1.0, 2.0]).expand(3, 2),
    "parameter": torch.nn.Parameter(numbers(2)),
}, "types.pth")

torch.save({"x": numbers(2)}, "legacy.pth", _use_new_zipfile_serialization=False)
