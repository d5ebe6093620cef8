# Measurements of rounds that were run in turns, as a table with a verdict. Each line of input has the figures
# of a round, those of the first way to run it, which is epoll, then those of the next ones.
#
#   ways="4;64;68"   rows="name;format|name;format;judged|..."   plain="name;value;value;value|..."

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

# what all rounds have in a column of a way, as it is, or relative to epoll
function column(a, way, c, relative,  i, base)
{
  for (i = 1; i <= NR; ++i)
    {
      base = relative ? seen [i, c] : 1
      a [i] = base > 0 ? seen [i, (way - 1) * columns + c] / base : 1
    }
}

function row(name, format, c, relative,  w)
{
  printf "  %-22s", name
  for (w = 1; w <= count; ++w)
    {
      column(a, w, c, relative)
      printf "%25s", relative && w == 1 ? 1 : spread(a, NR, format)
    }
  print ""
}

function line(text,  w)
{
  split (text, part, ";")
  printf "  %-22s", part [1]
  for (w = 1; w <= count; ++w) printf "%25s", part [w + 1]
  print ""
}

{ for (i = 1; i <= NF; ++i) seen [NR, i] = $i }

END {
  count = split (ways, way, ";")
  columns = split (rows, spec, "|")
  line(";" ways)
  for (c = 1; c <= columns; ++c)
    {
      split (spec [c], part, ";")
      judged [c] = part [3]
      row(part [1], part [2], c, 0)
      if (judged [c]) row("  against epoll", "%.2f", c, 1)
    }
  n = split (plain, spec, "|")
  for (c = 1; c <= n; ++c) line(spec [c])
  for (w = 2; w <= count; ++w)
    {
      said = "  => " way [w] ":"
      for (c = 1; c <= columns; ++c)
        if (judged [c]) { column(a, w, c, 1); said = said " " verdict(a, NR, judged [c]) "," }
      print substr (said, 1, length (said) - 1)
    }
}
