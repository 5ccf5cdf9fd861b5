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
.BR martlet (8)
at its start and on SIGHUP, and by
.BR martletctl (1).
Every setting has a default that is safe, so the file only has what is to be different: usually the certificate
.RB ( tls.certificate ", " tls.key )
and where users are known
.RB ( auth.directories ).
.PP
A setting that does not exist, a wrong unit, a value out of range, a setting that is there twice, or a combination that cannot be is
refused with file and line, what was probably meant, and what is allowed:
.B martlet \-\-check
or
.B martletctl config check
say so before a start or reload. After a mistake a reload changes nothing.
.B martletctl config show
says what is in effect and where it comes from.
.SH SYNTAX
The syntax is a part of UCL, which administrators of Rspamd know:
.PP
.nf
    # a comment; /* so is this */
    log.level = info
    imap {
        listen = ["127.0.0.1:143", "[::1]:143"];
        idle_timeout = 30min
    }
    mailboxes { Sent = sent, "Old mail" = archive }
.fi
.PP
A statement is
.IR "name = value" ,
.IR "name: value" " or " "name value" ;
it ends with a newline, ";" or ",".
.I section.name
is the same as
.I name
within
.IR section " { }" ;
a section may be opened several times, and sections nest at most 4 deep.
.TP
.B text
is a word, or a string in double quotes where it has spaces or one of ; , { } [ ] " # =. Within quotes \e" \e\e \e/ \en \er \et \eb \ef and
\eu with four hexadecimal digits mean what they mean in JSON. A string ends on its line.
.TP
.B a list
is values in brackets, separated by spaces, newlines or commas; a single value needs no brackets; [] is empty.
.TP
.B names with values
are a section; they replace the default as a whole.
.TP
.B true or false
is also written yes or no, on or off.
.TP
.B a size
is a number with kb, mb or gb (1024, 1024\[S2], 1024\[S3]), k, m or g (1000, 1000\[S2], 1000\[S3]), or without a unit (octets).
.TP
.B a time
is a number with ms, s, min, h, d or w, or without a unit (seconds).
.PP
What UCL has beyond that is refused: macros
.RB ( .include
and others: one file has all settings, so that one place tells what is in effect), here-documents, strings in single quotes, and the same
name several times as a list. Variables
.RB ( ${X} )
are not replaced. The file has at most 1 MiB.
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
        setting = re.match(r'#([a-z0-9_.]+) (?:= (.*);|({.*}))$', line)
        if setting:
            name, value = setting.group(1), setting.group(2) or setting.group(3)
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
