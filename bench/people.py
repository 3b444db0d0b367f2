"""Made-up people whose family names are as frequent as those of the US census: a few very common, most rare. Seeded."""

from __future__ import annotations

import random
from bisect import bisect
from itertools import accumulate

#: The most frequent family names of the 2010 census and how many of 100,000 people bear them.
COMMON = (
    ("Smith", 828), ("Johnson", 655), ("Williams", 551), ("Brown", 487), ("Jones", 483), ("Garcia", 395),
    ("Miller", 394), ("Davis", 378), ("Rodriguez", 371), ("Martinez", 359), ("Hernandez", 354), ("Lopez", 297),
    ("Gonzalez", 285), ("Wilson", 272), ("Anderson", 266), ("Thomas", 256), ("Taylor", 255), ("Moore", 246),
    ("Jackson", 240), ("Martin", 238), ("Lee", 235), ("Perez", 231), ("Thompson", 225), ("White", 224),
    ("Harris", 212), ("Sanchez", 208), ("Clark", 191), ("Ramirez", 189), ("Lewis", 180), ("Robinson", 179),
    ("Walker", 177), ("Young", 164), ("Allen", 163), ("King", 158), ("Wright", 155), ("Scott", 149),
    ("Torres", 148), ("Nguyen", 148), ("Hill", 147), ("Flores", 147), ("Green", 146), ("Adams", 145),
    ("Nelson", 144), ("Baker", 142), ("Hall", 138), ("Rivera", 133), ("Campbell", 131), ("Mitchell", 130),
    ("Carter", 128), ("Roberts", 127),
)  # fmt: skip
_GIVEN_NAMES = (
    "James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard Susan Joseph",
    "Jessica Thomas Sarah Charles Karen Christopher Lisa Daniel Nancy Matthew Betty Anthony Margaret Mark Sandra",
    "Donald Ashley Steven Kimberly Paul Emily Andrew Donna Joshua Michelle Kenneth Carol Kevin Amanda Brian",
    "George Deborah Timothy Stephanie Ronald Rebecca Edward Sharon Jason Laura Jeffrey Cynthia Ryan Dorothy",
)
_GIVEN = " ".join(_GIVEN_NAMES).split()
_PARTS = (
    "B Br C Ch Cl D Dr F Fr G Gr H J K Kl L M N P Pr R S Sch Sh St T Tr V W Z",
    "a e i o u ai au ea ee ie oa ou",
    "ck der dt g ger l ler ley ll man mann n ner ng nn r ra rd rez rt s se ska ski son ss t ter th ton tt x",
)
_BEGIN, _MIDDLE, _END = (part.split() for part in _PARTS)
_RARE = 20_000


class Names:
    """Family names with their frequencies; the rest of the people bear rare names, Zipf-distributed."""

    def __init__(self, seed: int = 1) -> None:
        chosen = random.Random(seed)
        names = dict(COMMON)
        while len(names) < len(COMMON) + _RARE:
            middle = chosen.choice(_MIDDLE)
            name = chosen.choice(_BEGIN) + middle + chosen.choice(_END)
            if chosen.random() < 0.6:
                name += chosen.choice(_MIDDLE) + chosen.choice(_END)
            names.setdefault(name, 0)
        rest = 100_000 - sum(weight for _, weight in COMMON)
        harmonic = sum(1 / rank for rank in range(30, 30 + _RARE))
        self.names = list(names)
        self.weights = [float(weight) for _, weight in COMMON]
        self.weights += [rest / harmonic / rank for rank in range(30, 30 + _RARE)]
        self._sums = list(accumulate(self.weights))

    def family(self, chosen: random.Random) -> str:
        """A family name, as often as it occurs."""
        return self.names[bisect(self._sums, chosen.random() * self._sums[-1])]

    def person(self, chosen: random.Random) -> str:
        """A name as PS3.5 section 6.2 writes it."""
        return f"{self.family(chosen)}^{chosen.choice(_GIVEN)}"
