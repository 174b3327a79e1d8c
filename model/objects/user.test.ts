/** Who owes a program its turns: the kernel inside a system call, nobody between two of them. */
import { expect, test } from 'vitest';
import { boot, design, ioctl, start } from '../design.ts';
import { open, reduce } from '../machine.ts';
import { in_user_space, user, work_a_while } from './index.ts';

test('a program in user space is owed no turn, and inside the kernel it is', () => {
  const booted = boot(
    design({
      name: 'one-program',
      title: 'a program that computes between two system calls',
      sources: [],
      knobs: {},
      kernel: () => ({
        threads: { app: user() },
        calls: { draw: ioctl({}, [work_a_while('ask'), in_user_space('computes'), work_a_while('submit')]) },
        workload: { app: ['draw()'] },
      }),
      expect: [],
    }),
  );
  const { machine } = booted;
  const kernel = start(booted, booted.workload);
  const natures: string[] = [];
  for (;;) {
    const now = open(machine, kernel, 'app');
    if (now.kind !== 'ready') break;
    natures.push(now.nature);
    reduce(machine, kernel, { thread: 'app', outcome: now.outcomes[0] ?? '' });
  }
  expect(natures).toEqual(['may', 'owed', 'may', 'owed']);
});
