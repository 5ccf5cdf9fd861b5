"""Adds up the results in a folder: meson's testlog.json, pytest's JUnit XML, NAME.failed files.

Prints what failed and, as the last line, "N passed, N failed". Fails if anything did, or nothing ran.
"""
import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree


def unit(path):
    """cmocka's own counts where there are any; otherwise a program is one test."""
    passed, failed, names = 0, 0, []
    with open(path) as f:
        for line in f:
            test = json.loads(line)
            out = test.get('stdout', '') + test.get('stderr', '')
            good = sum(map(int, re.findall(r'^\[  PASSED  \] (\d+) test', out, re.M)))
            bad = sum(map(int, re.findall(r'^\[  FAILED  \] (\d+) test', out, re.M)))
            ok = test['result'] in ('OK', 'EXPECTEDFAIL')
            if test['result'] == 'SKIP':
                continue
            if ok:
                passed += good or 1
            else:
                passed += good
                failed += bad or 1
                names.append('%s: %s' % (test['name'], test['result']))
    return passed, failed, names


def junit(path):
    passed, failed, names = 0, 0, []
    for case in ElementTree.parse(path).iter('testcase'):
        kinds = {child.tag for child in case}
        if kinds & {'failure', 'error'}:
            failed += 1
            names.append('%s.%s' % (case.get('classname'), case.get('name')))
        elif 'skipped' not in kinds:
            passed += 1
    return passed, failed, names


def main():
    folder = sys.argv[1]
    passed, failed = 0, 0
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith('.json'):
            p, f, names = unit(path)
        elif name.endswith('.xml'):
            p, f, names = junit(path)
        elif name == 'fuzz.txt':
            lines = open(path).read().splitlines()
            count = re.match(r'(\d+) passed, (\d+) failed$', lines[-1] if lines else '')
            p, f = (int(count[1]), int(count[2])) if count else (0, 1)
            names = [line.split()[0] for line in lines if line.endswith('  FAILED')] or (['fuzzing'] if f else [])
        elif name.endswith('.failed'):
            p, f, names = 0, 1, [open(path).read().strip()]
        else:
            continue
        passed += p
        failed += f
        for text in names:
            print('failed: %s: %s' % (name.rsplit('.', 1)[0], text))
    print('%d passed, %d failed' % (passed, failed), flush=True)
    sys.exit(1 if failed or not passed else 0)


main()
