"""What was measured in rounds that were run in turns, as a table with a verdict."""

import statistics


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


def table(rounds, rows, plain=(), enough=True):
    """rounds: {way: [figures of a round]}, the first way is epoll. rows: (name, format[, what is judged]) for each of
    the figures, plain: (name, a text for each way)."""
    ways = list(rounds)
    verdicts = {way: [] for way in ways}
    row('', *ways)
    for number, (name, form, *judged) in enumerate(rows):
        seen = {way: [figures[number] for figures in rounds[way]] for way in ways}
        row(name, *(spread(values, form) for values in seen.values()))
        for what in judged:
            ratios = {way: [value / base if base else 1 for value, base in zip(seen[way], seen[ways[0]])] for way in ways}
            row('  against epoll', 1, *(spread(ratios[way], '%.2f') for way in ways[1:]))
            for way in ways:
                verdicts[way].append(verdict(ratios[way], what))
    for cells in plain:
        row(*cells)
    for way in ways[1:]:
        print('  => %s: %s' % (way, ', '.join(verdicts[way]) if enough else 'too little to tell: take a command that computes for 0.05 s or more'))
