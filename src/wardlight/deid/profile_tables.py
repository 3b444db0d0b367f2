"""The rules of a profile for each kind of object, made when the first of them comes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from wardlight.deid import actions
from wardlight.deid.handlers import collect
from wardlight.deid.profile_model import Profile
from wardlight.deid.profile_private import private_rules
from wardlight.deid.profile_rules import Applied, holding
from wardlight.deid.remembered import Sequences
from wardlight.deid.state import ObjectState
from wardlight.dicom.rewrite import Rules

#: Tables kept, one for an IOD and the overrides that hold; the standard has some 175 IODs.
_TABLES: Final = 64


class Decided(NamedTuple):
    """What holds in one kind of object whatever its IOD. kept: tags; nested: the rules without their top level."""

    applied: Applied
    plans: Mapping[int, actions.Plan]
    kept: frozenset[int]
    nested: Rules


class Tables:
    """Rules by SOP class and modality. May be used by several threads."""

    def __init__(self, profile: Profile) -> None:
        self._profile: Final = profile
        self._rules: Final[OrderedDict[tuple[str, tuple[int, ...]], Rules]] = OrderedDict()
        self._decided: Final[OrderedDict[tuple[int, ...], Decided]] = OrderedDict()
        self.decided("", "")

    def decided(self, sop_class: str, modality: str) -> Decided:
        """What the profile's overrides and lists say of such an object."""
        numbers = holding(self._profile, sop_class, modality)
        found = self._decided.get(numbers)
        if found is None:
            profile = self._profile
            applied = Applied(profile, numbers)
            plans = actions.plans(profile, applied)
            nested = actions.table(profile, plans, None)
            rules = Rules(
                {},
                nested,
                actions.mismatch,
                collect,
                private=private_rules(profile, applied),
                enter=ObjectState.enter,
                leave=ObjectState.leave,
                memory=Sequences(),
            )
            kept = frozenset(tag for tag, planned in plans.items() if planned.kind == "keep")
            found = self._decided[numbers] = Decided(applied, plans, kept, rules)
            if len(self._decided) > _TABLES:
                self._decided.popitem(last=False)
        return found

    def rules(self, sop_class: str, modality: str) -> Rules:
        """The rules of such an object."""
        iod = actions.types().iod(sop_class)
        key = iod, holding(self._profile, sop_class, modality)
        rules = self._rules.get(key)
        if rules is None:
            decided = self.decided(sop_class, modality)
            rules = replace(decided.nested, top=actions.table(self._profile, decided.plans, iod))
            self._rules[key] = rules
            if len(self._rules) > _TABLES:
                self._rules.popitem(last=False)
        return rules
