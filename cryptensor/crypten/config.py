# SPDX-License-Identifier: MIT
"""cfg: CrypTen's settings by their dotted names.

Those that mean something here are `mpc.provider` and `encoder.precision_bits`, which the next
session takes, and `debug.debug_mode`, which manual_seed() asks for. The others choose
approximations that this engine does not need; they are accepted and have no effect.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..config import MAX_PRECISION, MIN_PRECISION
from ..errors import ConfigError

# By CrypTen's names. "TFP" lets every party read every secret, so it is no default here.
PROVIDERS = {"TTP": "third_party", "TFP": "first_party"}

_DEFAULTS: dict[str, Any] = {
    "communicator.verbose": False,
    "debug.debug_mode": False,
    "debug.validation_mode": False,
    "encoder.precision_bits": 16,
    "functions.max_method": "log_reduction",
    "functions.exp_iterations": 8,
    "functions.reciprocal_method": "NR",
    "functions.reciprocal_nr_iters": 10,
    "functions.reciprocal_log_iters": 1,
    "functions.reciprocal_all_pos": False,
    "functions.reciprocal_initial": None,
    "functions.sqrt_nr_iters": 3,
    "functions.sqrt_nr_initial": None,
    "functions.sigmoid_tanh_method": "reciprocal",
    "functions.sigmoid_tanh_terms": 32,
    "functions.log_iterations": 2,
    "functions.log_exp_iterations": 8,
    "functions.log_order": 8,
    "functions.trig_iterations": 10,
    "functions.erf_iterations": 8,
    "mpc.active_security": False,
    "mpc.provider": "TTP",
    "mpc.protocol": "beaver",
    "nn.dpsmpc.protocol": "layer_estimation",
    "nn.dpsmpc.skip_loss_forward": True,
    "nn.dpsmpc.cache_pred_size": True,
}
# What a program must not be left to believe in.
_ALLOWED: dict[str, tuple[Any, ...]] = {
    "mpc.active_security": (False,),
    "mpc.provider": tuple(PROVIDERS),
    "mpc.protocol": ("beaver",),
    "encoder.precision_bits": tuple(range(MIN_PRECISION, MAX_PRECISION + 1)),
}


class _Overrides(threading.local):
    def __init__(self) -> None:
        self.stack: list[dict[str, Any]] = []


class Config:
    """Settings as attributes (cfg.mpc.provider) or by dotted names (cfg["mpc.provider"]).

    An unknown name is a ConfigError, and so is a value that promises what the engine does not do.
    """

    def __init__(self) -> None:
        object.__setattr__(self, "_values", dict(_DEFAULTS))
        object.__setattr__(self, "_overrides", _Overrides())

    def __getitem__(self, name: str) -> Any:
        return _lookup(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[_checked(name, value)] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def to_dict(self) -> dict[str, Any]:
        """All settings as they count now in this thread, by dotted names."""
        out = dict(self._values)
        for override in self._overrides.stack:
            out.update(override)
        return out

    def set_config(self, config: Any) -> None:
        """Takes over the settings of a Config or of a (nested) mapping."""
        flat = config.to_dict() if isinstance(config, Config) else _flat(config)
        self._values.update({_checked(name, value): value for name, value in flat.items()})

    def load_config(self, config_file: Any) -> None:
        """The settings of a YAML file, None for the defaults. Needs the package PyYAML."""
        if config_file is None:
            return self.set_config(_DEFAULTS)
        try:
            import yaml
        except ImportError as error:
            raise ImportError(
                "cfg.load_config needs PyYAML: pip install 'cryptensor[crypten]'"
            ) from error
        with open(config_file) as stream:
            return self.set_config(yaml.safe_load(stream))

    @contextmanager
    def temp_override(self, override_dict: Mapping[str, Any]) -> Iterator[None]:
        """Other settings inside, for this thread."""
        override = {_checked(name, value): value for name, value in override_dict.items()}
        self._overrides.stack.append(override)
        try:
            yield
        finally:
            self._overrides.stack.remove(override)


class _Section:
    """cfg.mpc: the settings whose names begin so."""

    def __init__(self, config: Config, prefix: str) -> None:
        object.__setattr__(self, "_config", config)
        object.__setattr__(self, "_prefix", prefix)

    def __getattr__(self, name: str) -> Any:
        return _lookup(self._config, f"{self._prefix}.{name}")

    __getitem__ = __getattr__

    def __setattr__(self, name: str, value: Any) -> None:
        self._config[f"{self._prefix}.{name}"] = value

    __setitem__ = __setattr__


def _lookup(config: Config, name: str) -> Any:
    values = config.to_dict()
    if name in values:
        return values[name]
    if any(key.startswith(f"{name}.") for key in values):
        return _Section(config, name)
    raise _unknown(name)


def _checked(name: str, value: Any) -> str:
    if name not in _DEFAULTS:
        raise _unknown(name)
    allowed = _ALLOWED.get(name)
    if allowed is not None and value not in allowed:
        words = ", ".join(map(repr, allowed))
        raise ConfigError(f"cfg.{name} is {value!r}; it must be one of {words}")
    return name


def _unknown(name: str) -> ConfigError:
    return ConfigError(f"cfg has no setting {name!r}; it must be one of {', '.join(_DEFAULTS)}")


def _flat(config: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(config, Mapping):
        raise ConfigError(f"config is of type {type(config).__name__}; it must be a mapping")
    out: dict[str, Any] = {}
    for name, value in config.items():
        nested = isinstance(value, Mapping)
        out.update(_flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value})
    return out


cfg = Config()
