"""A private Slurm on this machine: one controller and three virtual nodes with pretended GPUs.

All files lie in one folder and all daemons belong to whoever starts them: an own munge key and
socket, own ports, no accounting, no cgroups, nothing in /etc. `Cluster` is a context manager; when
it is left, jobs are cancelled, daemons ended and the folder removed. A daemon also ends when the
process that started it does, however that happens.

The nodes offer more CPUs and memory than the machine has, so that requests of a real cluster fit.
"""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

GPUS = {"nodea": ("a100", 2), "nodeh": ("h100", 4), "nodec": None}
PARTITION = "main"
PATIENCE_S = 60
SLURM_CONF = """\
ClusterName=virtual
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
PlugStackConfig={folder}/plugstack.conf
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
DefMemPerCPU=500
MinJobAge=3600
KillWait=2
OverTimeLimit=0
ReturnToService=2
MpiDefault=none
GresTypes=gpu
"""


def processes_of(folder: Path) -> list[str]:
    """The command lines of the processes that have to do with a folder: `pid command`."""
    mark, found = str(folder).encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            belongs = mark in command or mark in (process / "environ").read_bytes()
        except OSError:
            continue
        if belongs and int(process.name) != os.getpid():
            found.append(f"{process.name} {command.replace(bytes(1), b' ').decode()}")
    return found


def end(folder: Path) -> None:
    """Kill what still has to do with a cluster's folder, and remove it."""
    for line in processes_of(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split()[0]), signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """A running cluster. `env` is the environment in which Slurm's commands reach it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="online-il-slurm-", dir="/tmp"))
        self.env = os.environ | {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}:/usr/sbin:/sbin",
        }
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Cluster":
        try:
            self._configure()
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def ask(self, *command: str) -> str:
        """The output of one of Slurm's commands."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def jobs(self) -> list[dict[str, str]]:
        """What `scontrol show job` knows of all jobs, oldest first, finished ones included."""
        lines = self.ask("scontrol", "--oneliner", "show", "job").splitlines()
        words = [[word.partition("=") for word in line.split()] for line in lines]
        jobs = [{key: value for key, _, value in row} for row in words]
        return sorted((job for job in jobs if "JobId" in job), key=lambda job: int(job["JobId"]))

    def _configure(self) -> None:
        ports = _free_ports(len(GPUS) + 1)
        lines = [
            SLURM_CONF.format(folder=self.folder, user=getpass.getuser(), controller_port=ports[0])
        ]
        gres = ["AutoDetect=off"]
        for (name, gpus), port in zip(GPUS.items(), ports[1:], strict=True):
            offer = f" Gres=gpu:{gpus[0]}:{gpus[1]}" if gpus else ""
            lines.append(
                f"NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port}"
                f" CPUs=16 RealMemory=64000 State=UNKNOWN{offer}"
            )
            (self.folder / f"spool-{name}").mkdir()
            if gpus:
                devices = [self._device(f"{name}-gpu{i}") for i in range(gpus[1])]
                files = ",".join(map(str, devices))
                gres.append(f"NodeName={name} Name=gpu Type={gpus[0]} File={files}")
        lines.append(
            f"PartitionName={PARTITION} Nodes={','.join(GPUS)} Default=YES MaxTime=INFINITE"
            " State=UP\n"
        )
        (self.folder / "slurm.conf").write_text("\n".join(lines))
        (self.folder / "gres.conf").write_text("\n".join(gres) + "\n")
        (self.folder / "plugstack.conf").write_text("")
        (self.folder / "state").mkdir()
        # Snakemake's job step calls srun in an environment without SLURM_CONF.
        shim = self.folder / "bin" / "srun"
        shim.parent.mkdir()
        srun = shutil.which("srun")
        shim.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {srun} "$@"\n')
        shim.chmod(0o755)
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o600)

    def _device(self, name: str) -> Path:
        """A character device that stands for a GPU: Slurm takes no plain file for one."""
        path = self.folder / name
        try:
            os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))
        except PermissionError:
            path.symlink_to("/dev/tty0" if Path("/dev/tty0").exists() else "/dev/null")
        return path

    def _start(self) -> None:
        here = self.folder
        self._daemon(
            *("munged", "--foreground", "--force", f"--socket={here}/munge.socket"),
            *(f"--key-file={here}/munge.key", f"--pid-file={here}/munged.pid", "--num-threads=2"),
            *(f"--log-file={here}/munged.log", f"--seed-file={here}/munged.seed"),
        )
        self._wait(lambda: (here / "munge.socket").exists(), "munged")
        self._daemon("slurmctld", "-D", "-f", f"{here}/slurm.conf")
        for name in GPUS:
            self._daemon("slurmd", "-D", "-N", name, "-f", f"{here}/slurm.conf")
        self._wait(self._ready, "Slurm")

    def _daemon(self, *command: str) -> None:
        with (self.folder / "daemons.log").open("ab") as log:
            self._daemons.append(
                subprocess.Popen(
                    ["setpriv", "--pdeathsig", "TERM", *command],
                    env=self.env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # An interrupt of the terminal reaches us alone; we then end them in order.
                    start_new_session=True,
                )
            )

    def _ready(self) -> bool:
        try:
            states = self.ask("sinfo", "--noheader", "--Node", "--format=%T").split()
        except RuntimeError:
            return False
        return states == ["idle"] * len(GPUS)

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        limit = time.monotonic() + PATIENCE_S
        while not condition():
            ended = [d.args for d in self._daemons if d.poll() is not None]
            if ended or time.monotonic() > limit:
                logs = "\n".join(
                    f"{path}:\n{path.read_text(errors='replace')[-1500:]}"
                    for path in sorted(self.folder.glob("*.log"))
                )
                raise RuntimeError(f"{what} did not start; ended: {ended}\n{logs}")
            time.sleep(0.1)

    def _stop(self) -> None:
        """End the jobs, then the daemons, newest first, then whatever is left of a job."""
        if len(self._daemons) > 1:
            subprocess.run(
                ["scancel", f"--user={getpass.getuser()}"], env=self.env, check=False, timeout=60
            )
            limit = time.monotonic() + 10
            while self._running() and time.monotonic() < limit:
                time.sleep(0.2)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        end(self.folder)

    def _running(self) -> bool:
        try:
            return bool(self.ask("squeue", "--noheader").strip())
        except (RuntimeError, subprocess.TimeoutExpired):
            return False


if __name__ == "__main__":
    # By hand: a command (else a shell) in which Slurm's commands reach a cluster of its own.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Cluster() as cluster:
        sys.exit(subprocess.run(sys.argv[1:] or ["bash"], env=cluster.env, check=False).returncode)
