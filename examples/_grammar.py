"""A small language: its grammar makes texts and tells whether a sentence is right.

A sentence has a subject, at times with a clause of its own ("the owls that the frog hears"), and a
verb that agrees with the subject's number, however far away that is.
"""

import numpy as np

from chainrule import random

NOUNS = ("cat", "dog", "owl", "crow", "hare", "frog")
DEEDS = ("sleep", "sing", "wait")  # of one alone
RELATIONS = ("see", "hear", "fear")  # between two
PLACES = ("here", "by day", "at night")
ALPHABET = " .abcdefghijklmnopqrstuvwxyz\n"


class Speaker:
    """Draws words, and adds up how much each choice says, in bits."""

    def __init__(self, rng):
        self.rng, self.bits = rng, 0.0

    def choose(self, words):
        self.bits += np.log2(len(words))
        return words[self.rng.integers(len(words))]

    def noun(self, plural):
        return ["the", self.choose(NOUNS) + ("s" if plural else "")]

    def verb(self, verbs, plural):
        return self.choose(verbs) + ("" if plural else "s")

    def sentence(self):
        plural = self.choose((False, True))
        words = self.noun(plural)
        if self.choose((False, True)):
            other = self.choose((False, True))
            words += ["that", *self.noun(other), self.verb(RELATIONS, other)]
        words.append(self.verb(DEEDS, plural))
        if self.choose((False, True)):
            words.append(self.choose(PLACES))
        return " ".join(words) + ".\n"


def text(seed, sentences):
    """Return a text, and the bits per character that nobody can know beforehand."""
    speaker = Speaker(np.random.default_rng(seed))
    written = "".join(speaker.sentence() for _ in range(sentences))
    return written, speaker.bits / len(written)


def encode(written):
    """Return the places of a text's characters in the alphabet."""
    return np.array([ALPHABET.index(character) for character in written])


def decode(codes):
    return "".join(ALPHABET[code] for code in codes)


def pieces(written, length):
    """Return pieces of a text, as codes, that begin just before its sentences."""
    codes = encode("\n" + written)
    begins = np.flatnonzero(codes[: len(codes) - length] == encode("\n"))
    return codes[begins[:, np.newaxis] + np.arange(length)]


def write(model, key, count, length):
    """Return sentences whose characters are drawn one by one from what a model expects."""
    codes = np.full((count, 1), encode("\n"))
    for k in random.split(key, length):
        drawn = random.categorical(k, model(codes)[:, -1])
        codes = np.concatenate([codes, drawn[:, np.newaxis]], axis=1)
    return [decode(row[1:]).partition("\n")[0] for row in codes]


def _nouns(plural):
    return {f"the {noun}" + ("s" if plural else "") for noun in NOUNS}


def is_right(sentence):
    """Tell whether a sentence (without its end of line) belongs to the language."""
    if not sentence.endswith("."):
        return False
    words = sentence[:-1]
    for place in PLACES:
        words = words.removesuffix(f" {place}")
    subject, _, deed = words.rpartition(" ")
    for plural in (False, True):
        ending = "" if plural else "s"
        if deed in {verb + ending for verb in DEEDS}:
            return _is_subject(subject, plural)
    return False


def _is_subject(subject, plural):
    noun, that, clause = subject.partition(" that ")
    if noun not in _nouns(plural):
        return False
    if not that:
        return True
    other, _, verb = clause.rpartition(" ")
    return any(
        other in _nouns(many) and verb in {v + ("" if many else "s") for v in RELATIONS}
        for many in (False, True)
    )
