"""The fixed texts that the server sends to people, found in its source; those that LANGUAGE can translate."""
import os
import re

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..', '..'))
FOLDERS = ('src/imap', 'src/daemon/login')
CALLS = re.compile(r'\b(task_ok|task_no|task_bad|task_ok_modseq|session_status|session_bye|session_bad|session_drop|'
                   r'respond_text|respond_status)\s*\(')
LITERALS = re.compile(r'"((?:[^"\\]|\\.)*)"(?:\s*"((?:[^"\\]|\\.)*)")*')


def arguments(text, at):
    """From the parenthesis at `at` to the one that closes it."""
    depth, quoted, n = 0, False, at
    while True:
        c = text[n]
        if quoted:
            if c == '\\':
                n += 1
            quoted = c != '"'
        elif c == '"':
            quoted = True
        elif c == '(':
            depth += 1
        elif c == ')':
            depth -= 1
            if depth == 0:
                return text[at + 1:n]
        n += 1


def literals(text):
    joined = re.sub(r'"\s*\n\s*"', '', text)
    for m in re.finditer(r'"((?:[^"\\]|\\.)*)"', joined):
        yield m.group(1).replace('\\"', '"').replace('\\\\', '\\')


def in_file(path):
    with open(path) as f:
        text = re.sub(r'/\*.*?\*/', '', f.read(), flags=re.S)
    for m in CALLS.finditer(text):
        for one in literals(arguments(text, m.end() - 1)):
            if m.group(1) in ('respond_text', 'respond_status'):
                status = re.match(r'\* (?:OK|NO|BAD|BYE) (?:\[.*\] )?([^\[].*)', one)
                if not status or '%' in status.group(1):
                    continue
                one = status.group(1)
            # not a response code or a status, which are all capitals
            if re.search('[a-z]', one) and '%' not in one:
                yield one


def all_texts():
    out = {}
    for folder in FOLDERS:
        for name in sorted(os.listdir(os.path.join(ROOT, folder))):
            if name.endswith('.c'):
                for one in in_file(os.path.join(ROOT, folder, name)):
                    out.setdefault(one, '%s/%s' % (folder, name))
    return out


if __name__ == '__main__':
    for one in sorted(all_texts()):
        print(one)
