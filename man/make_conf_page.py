"""Turns the commented default configuration into martlet.conf(5): one place for the settings' texts.

usage: make_conf_page.py martlet.conf martlet.conf.5
"""
import re
import sys

HEAD = r'''.TH MARTLET.CONF 5 "November 2026" "Martlet" "File formats"
.SH NAME
martlet.conf \- configuration of the Martlet IMAP server
.SH DESCRIPTION
The file is read by
.BR martlet (8).
It is written in the syntax of libucl: settings "name = value;", grouped in braces; "#" begins a comment.
Every setting has a default that is safe, so an empty file works. An unknown or misspelled setting, a wrong unit or
an impossible combination is refused with file, line and what is allowed.
.PP
Sizes take kb, mb, gb; times take ms, s, min, h, d.
.SH SETTINGS
'''

TAIL = r'''.SH SEE ALSO
.BR martlet (8),
.BR martletctl (1)
'''


def roff(text):
    text = text.replace('\\', '\\e').replace('-', '\\-')
    return '\\&' + text if text.startswith(('.', "'")) else text


def main():
    source, target = sys.argv[1:]
    out, group, comment = [HEAD], '', []
    for line in open(source, encoding='utf-8'):
        line = line.strip()
        setting = re.match(r'#([a-z0-9_.]+) = (.*);$', line)
        if setting:
            name, value = setting.groups()
            out.append('.TP\n.BR "%s" " = %s"\n' % (roff(group + name), roff(value).replace('"', '\\(dq')))
            out.append(roff(' '.join(comment)) + '\n')
            comment = []
        elif line.endswith('{') and not line.startswith('#'):
            group, comment = line[:-1].strip() + '.', []
        elif line == '}':
            group, comment = '', []
        elif line.startswith('#'):
            comment.append(line[1:].strip())
        else:
            comment = []
    out.append(TAIL)
    with open(target, 'w', encoding='utf-8') as f:
        f.write(''.join(out))


if __name__ == '__main__':
    main()
