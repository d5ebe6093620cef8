# Quartiles of the n numbers in a, how they are printed, and whether ratios tell a difference.

function sort(a, n,  i, j, t)
{
  for (i = 2; i <= n; ++i)
    for (j = i; j > 1 && a [j] < a [j - 1]; --j) { t = a [j]; a [j] = a [j - 1]; a [j - 1] = t }
}

function quartile(a, n, q,  x, i)
{
  sort(a, n)
  x = 1 + (n - 1) * q / 4
  i = int (x)
  return a [i] + (x - i) * (a [i + (i < n)] - a [i])
}

function spread(a, n, format)
{
  return sprintf (format " (" format " - " format ")", quartile(a, n, 2), quartile(a, n, 1), quartile(a, n, 3))
}

# A difference: three rounds of four, at least, are on the same side, and the middle one by more than
# one per cent. Less than five rounds tell nothing.
function verdict(r, n, what,  m)
{
  m = quartile(r, n, 2)
  if (n < 5)
    return "too few rounds to tell about " what
  if ((quartile(r, n, 1) <= 1 && quartile(r, n, 3) >= 1) || (m > 0.99 && m < 1.01))
    return "no difference in " what
  return sprintf ("%.0f %% %s %s", (m > 1 ? m - 1 : 1 - m) * 100, m > 1 ? "more" : "less", what)
}
