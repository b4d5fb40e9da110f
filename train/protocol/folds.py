#!/usr/bin/env python3
"""Write the protocol's folds: each person's fold in each of three repeats.

    folds.py CELLS.csv > folds.csv

CELLS.csv has path,label,subject, with the person as subject. Persons of a class are sorted by their number of
cells and dealt out three at a time, each three in an order that the repeat's seed draws, so that each fold has a
third of the persons of each class, with few cells and with many.
"""
import collections
import csv
import random
import sys

FOLDS = 3
SEEDS = (1, 2, 3)


def deal(persons, generator, start):
    """Each person's fold; the last, incomplete round goes to the folds from `start` on."""
    folds = {}
    for first in range(0, len(persons), FOLDS):
        group = persons[first : first + FOLDS]
        order = list(range(FOLDS))
        if len(group) == FOLDS:
            generator.shuffle(order)
        else:
            order = [(start + place) % FOLDS for place in order]
        folds |= dict(zip(group, order))
    return folds


def main():
    counts = collections.defaultdict(collections.Counter)
    with open(sys.argv[1], newline="") as table:
        for row in csv.DictReader(table):
            counts[row["label"]][row["subject"]] += 1
    repeats = []
    for repeat, seed in enumerate(SEEDS):
        generator = random.Random(seed)
        folds = {}
        for label in sorted(counts):
            persons = sorted(counts[label], key=lambda person: (-counts[label][person], person))
            folds |= deal(persons, generator, repeat)
        repeats.append(folds)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    names = [f"repeat_{repeat + 1}" for repeat in range(len(SEEDS))]
    writer.writerow(("subject", "label", "cells", *names))
    for label in sorted(counts):
        for person in sorted(counts[label]):
            places = [folds[person] + 1 for folds in repeats]
            writer.writerow((person, label, counts[label][person], *places))


if __name__ == "__main__":
    main()
