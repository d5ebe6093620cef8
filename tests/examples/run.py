#!/usr/bin/python3
"""The C examples of libev's manual and of README, taken from there, run on 4, 64 and 68.

run.py TREE INST [NAME...]: TREE has ev.pod and ev.c, INST the libraries. Each example has
the same outcome on all of them, and the expected one. It is found by a piece of its text;
an example that nothing is said about is a failure, so that none is forgotten.

Functions, types and watchers of an example come to file scope, statements into main, and a
line of prose ("... do something") prints itself. What an example lacks is in examples.py."""

import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from examples import EXAMPLES, LEFT_OUT  # noqa: E402

TREE, INST, ONLY = sys.argv[1], sys.argv[2], sys.argv[3:]
TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
LOOPS = [{'LIBEV_FLAGS': '4'}, {'LIBEV_FLAGS': '64'}, {'LIBEV_FLAGS': '68'},
         {'LIBEV_FLAGS': '64', 'LIBEV_BUSY_POLL': '1'}]  # rings from the first poll on

HEADERS = 'assert math pthread signal stdio stdlib string sys/stat sys/wait time unistd ev ev_linuxaio'
PRELUDE = ''.join('#include <%s.h>\n' % name for name in HEADERS.split()) + '''
static void say (const char *text) { puts (text); }
static void fatal (const char *text) { say (text); exit (1); }
static void type (const char *text) { int fds [2]; assert (!pipe (fds)); dup2 (fds [0], 0); assert (write (fds [1], text, strlen (text)) >= 0); }
'''

doctor = subprocess.run([TOP + '/tests/programs/doctor'], capture_output=True, text=True).stdout
AIO = 'ok    kernel' in doctor and 'ok    AIO' in doctor


def blocks(path, indent):
    """The indented blocks of a text, without their indentation; an empty line does not end one."""
    with open(path, encoding='utf-8') as file:
        found = re.findall(r'(?m)^ {%d}.*\n(?:(?: {%d}.*)?\n)*' % (indent, indent), file.read())
    return [re.sub('(?m)^ {%d}' % indent, '', block).strip('\n') + '\n' for block in found]


def split(text):
    """Top level declarations, and statements."""
    outside, inside, to = [], [], None
    for line in text.split('\n'):
        line = re.sub(r'^(\s*)\.\.\.? ?(.*)$', lambda m: '%ssay ("%s");' % m.groups() if m[2] else '', line)
        if to is None and re.match(r'(static |struct \w+$|typedef|class |void \w+ \(|void \*$|int$|#)', line) \
                and not line.startswith('#include <'):
            to = outside
        if to is None:
            (outside if re.match(r'ev_\w+ \w+;|int \w+ = 0;|ev_tstamp \w+', line) else inside).append(line)
            continue
        to.append(line)
        if re.match(r'\}|#|static .*[;}]$|struct .*;|int .*;$', line):
            to = None
    return '\n'.join(outside), '\n'.join(inside)


def program(example, text):
    for old, new in example.get('edit', []):
        assert old in text, 'there is no %r in it (any more)' % old
        text = text.replace(old, new)
    if 'int\nmain' in text:
        return PRELUDE + text
    outside, inside = split(text)
    return '%s%s\n%s\nint main (void)\n{\n%s\n%s\n%s\nreturn 0;\n}\n' % (
        PRELUDE, example.get('top', ''), outside, example.get('before', ''), inside, example.get('after', ''))


def run(example, text, tmp):
    source, binary = os.path.join(tmp, 'example.c'), os.path.join(tmp, 'example')
    with open(source, 'w') as file:
        file.write(program(example, text))
    language = ['g++', '-x', 'c++'] if example.get('cxx') else [os.environ.get('CC') or 'cc']
    done = subprocess.run(language + ['-w', source, '-o', binary, '-I', INST + '/include', '-I', TREE, '-L', INST + '/lib',
                                      '-Wl,-rpath,' + os.path.abspath(INST) + '/lib', '-lev', '-lm', '-pthread'],
                          capture_output=True, text=True)
    if done.returncode:
        return 'does not compile: ' + done.stderr
    for loop in LOOPS:
        wanted = example['says']
        if isinstance(wanted, dict):
            wanted = wanted[loop['LIBEV_FLAGS'] if AIO else '4']
        done = subprocess.run(['timeout', '20', binary], input=example.get('input', ''), capture_output=True, text=True,
                              env={**os.environ, **loop})
        if done.returncode or done.stdout.split('\n')[:-1] != wanted:
            return '%s: exit status %d, %r, not %r %s' % (loop, done.returncode, done.stdout, wanted, done.stderr)
    return None


manual = [b for b in blocks(os.path.join(TREE, 'ev.pod'), 3) if ';' in b or '{' in b or '#include' in b]
mine = [b for b in blocks(TOP + '/README', 4) if ';' in b and '(loop' in b or 'ev_default' in b]
errors, ran, known = [], 0, set()
with tempfile.TemporaryDirectory() as tmp:
    for example in EXAMPLES:
        keys = (example['with'],) if isinstance(example['with'], str) else example['with']
        parts = [[b for b in manual + mine if key in b] for key in keys]
        known.update(sum(parts, []))
        if ONLY and not any(o in key for o in ONLY for key in keys):
            continue
        ran += 1
        name = keys[0].strip().replace('\n', ' ')
        error = run(example, '\n'.join(sum(parts, [])), tmp) if all(parts) else 'is not there any more'
        errors += [name + ': ' + error] if error else []
        print('not ok' if error else 'ok', name)
for key in LEFT_OUT:
    found = [b for b in manual + mine if key in b]
    errors += [] if found else [key + ': left out, but is not there any more']
    known.update(found)
if not ONLY:
    errors += ['nothing is said about this example:\n' + text for text in manual + mine if text not in known]
if not ran:
    errors = ['no example has such a text']
sys.exit('\n'.join(errors) or None)
