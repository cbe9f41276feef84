#!/usr/bin/env python3
"""Does what systemctl and systemd do for one unit, on a machine that systemd does not run:
user, group and capabilities of the unit, its state directory, its word that it is ready, its
reload. The unit is read as systemd.service(5) and systemd.syntax(7) say, as far as it goes."""
import os, shlex, signal, socket, subprocess, sys, time

UNITS, STATE = "/etc/systemd/system/", "/run/stand-in/"


def unit(name):
    keys = {}
    with open(UNITS + name) as file:
        for line in file:
            line = line.strip()
            if line and line[0] not in "#;[":
                key, _, value = line.partition("=")
                keys[key] = value
    return keys


def argv(command, main):
    words = [w.replace("$$", "\0").replace("$MAINPID", str(main)).replace("\0", "$").replace("%%", "%") for w in shlex.split(command)]
    return words


def as_user(keys, words):
    capability = keys["AmbientCapabilities"].removeprefix("CAP_").lower()
    return ["setpriv", "--reuid", keys["User"], "--regid", keys["Group"], "--init-groups", "--no-new-privs",
            "--inh-caps", "-all,+" + capability, "--ambient-caps", "+" + capability, "--bounding-set", "-all,+" + capability] + words


def main_pid(name):
    try:
        with open(STATE + name) as file:
            pid = int(file.read())
        with open("/proc/%d/stat" % pid) as file:
            return 0 if file.read().rsplit(")", 1)[1].split()[0] == "Z" else pid
    except (OSError, ValueError):
        return 0


def run(name, command, limit=60):
    """Runs a command of the unit, and waits until the process that serves then says so."""
    keys = unit(name)
    os.makedirs(STATE, exist_ok=True)
    if "StateDirectory" in keys:
        path = "/var/lib/" + keys["StateDirectory"]
        os.makedirs(path, exist_ok=True)
        os.chmod(path, int(keys["StateDirectoryMode"], 8))
        subprocess.run(["chown", "-R", keys["User"] + ":" + keys["Group"], path], check=True)
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    where = STATE + "notify-%d" % os.getpid()
    notify.bind(where)
    os.chmod(where, 0o777)
    os.chmod(STATE, 0o755)
    notify.settimeout(limit)
    notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    with open(STATE + "journal", "a") as journal:
        started = subprocess.Popen(as_user(keys, argv(command, main_pid(name))), stdin=subprocess.DEVNULL, stdout=journal, stderr=journal,
                                   env={"NOTIFY_SOCKET": where, "PATH": "/usr/bin:/bin"}, start_new_session=True, umask=int(keys["UMask"], 8))
    until = time.monotonic() + limit
    while time.monotonic() < until:
        notify.settimeout(0.2)
        try:
            message, ancillary, _, _ = notify.recvmsg(4096, socket.CMSG_SPACE(12))
        except TimeoutError:
            if started.poll() not in (None, 0):
                return 1
            continue
        if "READY=1" in message.decode().split("\n"):
            pid = int.from_bytes(ancillary[0][2][:4], sys.byteorder)
            with open(STATE + name, "w") as file:
                file.write(str(pid))
            return 0
    return 1


def main():
    action, *rest = [a for a in sys.argv[1:] if a != "--no-pager"]
    name = rest[-1] if rest else ""
    if action == "--version":
        print("systemd 252 (a stand-in)")
    elif action in ("daemon-reload", "enable", "disable"):
        if name:
            unit(name)
    elif action == "is-active":
        print("active" if main_pid(name) else "inactive")
        return 0 if main_pid(name) else 3
    elif action == "list-unit-files":
        if os.path.exists(UNITS + name):
            print(name, "enabled")
    elif action == "start":
        if not main_pid(name):
            return run(name, unit(name)["ExecStart"])
    elif action == "reload":
        return run(name, unit(name)["ExecReload"])
    elif action == "stop":
        if main_pid(name):
            os.kill(main_pid(name), signal.SIGTERM)
    else:
        print("Unknown command verb", action, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
