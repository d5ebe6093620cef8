#!/usr/bin/python3
"""table.py WAYS ROWS [PLAIN]: what was measured in rounds that were run in turns, as a table with a verdict.

Each line of input has the figures of a round: those of the first way to run it, which is epoll, then
those of the next ones. "4;64;68" "name;format|name;format;what is judged|..." "name;value;value;value|..." """

import statistics
import sys


def row(*cells):
    print('  %-22s' % cells[0] + ''.join('%25s' % cell for cell in cells[1:]))


def quartiles(values):
    return statistics.quantiles(values * (1 if len(values) > 1 else 2), method='inclusive')


def spread(values, form):
    low, middle, high = (form % value for value in quartiles(values))
    return '%s (%s - %s)' % (middle, low, high)


def verdict(ratios, what):
    """A difference: three rounds of four, at least, are on the same side, and the middle one by more
    than one per cent. Less than five rounds tell nothing."""
    low, middle, high = quartiles(ratios)
    if len(ratios) < 5:
        return 'too few rounds to tell about ' + what
    if low <= 1 <= high or 0.99 < middle < 1.01:
        return 'no difference in ' + what
    return '%.0f %% %s %s' % (abs(middle - 1) * 100, 'more' if middle > 1 else 'less', what)


ways, rows, plain = ([part.split(';') for part in text.split('|') if part] for text in (sys.argv + [''])[1:4])
rounds = [[float(figure) for figure in line.split()] for line in sys.stdin]
verdicts = [[] for _ in ways[0]]
row('', *ways[0])
for number, (name, form, *judged) in enumerate(rows):
    seen = [[figures[way * len(rows) + number] for figures in rounds] for way in range(len(ways[0]))]
    row(name, *(spread(values, form) for values in seen))
    for what in judged:
        ratios = [[value / base if base else 1 for value, base in zip(values, seen[0])] for values in seen]
        row('  against epoll', 1, *(spread(values, '%.2f') for values in ratios[1:]))
        for said, values in zip(verdicts, ratios):
            said.append(verdict(values, what))
for cells in plain:
    row(*cells)
for way, said in list(zip(ways[0], verdicts))[1:]:
    print('  => %s: %s' % (way, ', '.join(said)))
