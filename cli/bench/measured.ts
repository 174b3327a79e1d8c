/**
 * One process, measured from outside: wall time, CPU time and peak memory as the kernel accounts for them, the same way
 * for Spin's verifier and for our own searches. Node cannot ask for the usage of a child, so a few lines of C do.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Measured {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly output: string;
}
/** Runs a program with arguments. @throws when it fails, with what it said */
export type Measure = (program: string, ...args: readonly string[]) => Measured;

const MOST_MILLISECONDS = 1_800_000;
const MOST_OUTPUT_BYTES = 16 * 1024 * 1024;
const MARK = 'fenceproof-measured';

const SOURCE = `
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
  struct timespec begun, ended;
  struct rusage used;
  int status;
  if (argc < 2) return 2;
  clock_gettime(CLOCK_MONOTONIC, &begun);
  pid_t child = fork();
  if (child == 0) {
    execv(argv[1], argv + 1);
    _exit(127);
  }
  if (child < 0 || wait4(child, &status, 0, &used) < 0) return 126;
  clock_gettime(CLOCK_MONOTONIC, &ended);
  fprintf(stderr, "\\n${MARK} %.6f %.6f %ld\\n",
          (ended.tv_sec - begun.tv_sec) + (ended.tv_nsec - begun.tv_nsec) / 1e9,
          (used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
          used.ru_maxrss);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
`;

/** Build the measuring program in a folder. */
export function measuring(folder: string): Measure {
  const program = join(folder, 'measured');
  writeFileSync(`${program}.c`, SOURCE);
  const built = spawnSync('gcc', ['-O2', '-o', program, `${program}.c`], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`gcc: ${built.error?.message ?? built.stderr}`);
  return (command, ...args) => {
    const ran = spawnSync(program, [command, ...args], {
      cwd: folder,
      encoding: 'utf8',
      timeout: MOST_MILLISECONDS,
      maxBuffer: MOST_OUTPUT_BYTES,
    });
    const [, wall, cpu, kibibytes] = new RegExp(`${MARK} (\\S+) (\\S+) (\\S+)`).exec(ran.stderr ?? '') ?? [];
    if (ran.status !== 0 || wall === undefined)
      throw new Error(
        `${command} ${args.join(' ')} ended with ${ran.signal ?? ran.status}: ${(ran.error?.message ?? ran.stderr).slice(0, 2000)}`,
      );
    return {
      wallSeconds: Number(wall),
      cpuSeconds: Number(cpu),
      peakBytes: Number(kibibytes) * 1024,
      output: ran.stdout,
    };
  };
}
