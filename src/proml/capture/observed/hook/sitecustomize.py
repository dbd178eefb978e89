"""Notes which files a Python program opens; part of `proml run`, never imported by ProML itself.

Python imports a module of this name when it starts, and finds this one because `proml run` puts its folder first in
PYTHONPATH. It belongs to a program that knows nothing of ProML, so it

- needs the standard library only, any interpreter (one without audit hooks is left alone), and no import beyond what
  is loaded already;
- takes its folder out of ``sys.path`` and then runs the ``sitecustomize`` that would have been found without it;
- holds no file open, takes no lock and starts no thread: a fact is one append to the file that PROML_OBSERVE names,
  and the same fact is written once;
- calls nothing of the program, and lets through what a signal handler of the program raises meanwhile.

A line is ``KIND SIZE MTIME_NS CTIME_NS INODE PATH``; for what the kinds mean see :mod:`proml.capture.observed.reading`.
"""

import os
import sys


def _observe(log, own):  # noqa: C901, PLR0915 - one closure: the module itself may be gone when the hook runs
    encoding, errors = sys.getfilesystemencoding(), "surrogateescape"
    status, start, put, end, here = os.stat, os.open, os.write, os.close, os.getcwd
    how = os.O_WRONLY | os.O_APPEND
    changing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    both, emptied = os.O_RDWR, os.O_TRUNC
    boring = (os.path.dirname(os.__file__) + "/", "/proc/", "/sys/", "/dev/")
    installed = ("/site-packages/", "/dist-packages/")
    limit = 100000
    none = b"- - - -"
    seen = set()
    now = sys.exc_info
    watched = {
        "open", "os.rename", "os.link", "os.truncate", "sqlite3.connect", "subprocess.Popen", "os.exec",
        "os.posix_spawn",
    }  # fmt: skip

    def text(path):
        """Returns the path as text, absolute; None for what is no path, such as a descriptor."""
        kind = type(path)
        if kind is bytes:
            path = path.decode(encoding, errors)
        elif kind is not str:
            if isinstance(path, str):
                path = str.__str__(path)
            elif kind.__module__.startswith("pathlib") or kind.__name__ == "DirEntry":
                path = path.__fspath__()
            if type(path) is not str:
                return None
        if path[:1] == "/":
            return path
        return here() + "/" + path if path else None

    def stamp(path):
        """Returns what tells whether a file changed; None if there is no regular file."""
        try:
            found = status(path)
        except OSError:
            return None
        if found.st_mode & 0o170000 != 0o100000:
            return None
        return b"%d %d %d %d" % (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)

    def write(kind, known, path):
        if len(seen) >= limit:
            kind, known, path = b"l", none, ""
        key = (kind, path)
        if key in seen:
            return
        shown = path.encode(encoding, errors).replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
        line = kind + b" " + known + b" " + shown + b"\n"
        descriptor = start(log, how)
        try:
            put(descriptor, line)
        finally:
            end(descriptor)
        seen.add(key)

    def opened(path, mode, flags):
        path = text(path)
        if path is None or path == log or path.startswith(boring) or installed[0] in path or installed[1] in path:
            return
        if mode is None:
            kind = b"r" if not flags & changing else b"u" if flags & both and not flags & emptied else b"w"
        else:
            kind = b"r" if "r" in mode and "+" not in mode else b"u" if "r" in mode else b"w"
        if (kind, path) in seen:
            return
        if "/__pycache__/" in path:
            if kind != b"r" or path[-4:] != ".pyc":
                return
            folder, _, name = path.rpartition("/__pycache__/")
            path = folder + "/" + name.partition(".")[0] + ".py"  # what the program is written in
        known = stamp(path)
        if known is not None or kind != b"r":
            write(kind, known or none, path)

    def renamed(source, target):
        source, target = text(source), text(target)
        if source is not None and target is not None:
            write(b"m", stamp(target) or none, source + "\0" + target)

    def started(arguments, environment):
        """Notes that a Python program was started in a way that keeps this module out of it."""
        if type(arguments) not in (list, tuple) or not arguments:
            return
        program = arguments[0]
        if type(program) is bytes:
            program = program.decode(encoding, errors)
        if type(program) is not str or program.rpartition("/")[2][:6] != "python":
            return
        for argument in arguments[1:]:
            if type(argument) is not str or argument[:1] != "-" or argument[:2] == "--":
                break
            letters = argument[1:].partition("c")[0].partition("m")[0].partition("X")[0].partition("W")[0]
            for letter in ("I", "E", "S"):
                if letter in letters:
                    write(b"b", none, "-" + letter)
            if letters != argument[1:]:
                break
        if type(environment) is dict and own not in str(environment.get("PYTHONPATH", "")):
            write(b"b", none, "environment")

    def hook(event, arguments):
        if event not in watched:
            return
        try:
            if event == "open":
                opened(*arguments)
            elif event in ("os.rename", "os.link"):
                if arguments[2] == -1 == arguments[3]:
                    renamed(arguments[0], arguments[1])
            elif event in ("os.truncate", "sqlite3.connect"):
                opened(arguments[0], "r+", 0)
            else:
                started(arguments[1], arguments[2 if event != "subprocess.Popen" else 3])
        except Exception:
            # What a signal handler of the program raised just now is the program's; it comes from deeper than here.
            traceback = now()[2]
            while traceback.tb_next is not None:
                traceback = traceback.tb_next
            if traceback.tb_frame.f_code not in codes:
                raise

    codes = {one.__code__ for one in (text, stamp, write, opened, renamed, started, hook)}
    write(b"p", none, sys.prefix + "\0" + sys.base_prefix)
    sys.addaudithook(hook)


_own = os.path.dirname(os.path.abspath(__file__))
if os.environ.get("PROML_OBSERVE") and hasattr(sys, "addaudithook"):
    try:
        _observe(os.environ["PROML_OBSERVE"], _own)
    except Exception:  # the program goes on
        pass
sys.path[:] = [entry for entry in sys.path if entry != _own]
sys.modules.pop("sitecustomize", None)
import sitecustomize  # noqa: E402, F401 - the one that Python would have found; if there is none, Python is told so
