/**
 * What `init` writes: a design that is small enough to read and already has something to argue about, and a test of it.
 * It convicts at one setting and acquits at the other, so that both look familiar before anything is changed.
 */

/** The design. @param name as a design has it: lower case, with hyphens */
export const startingDesign = (name: string): string => {
  const snake = name.replaceAll('-', '_');
  return `/**
 * ${name}: say here what it models and what is argued about.
 *
 *   npx fenceproof check ./${name}.ts       search every state, and tell the story of what breaks
 *   npx fenceproof watch ./${name}.ts       the same again at every change of this file
 *   npx fenceproof fuzz -d ./${name}.ts     longer runs with random calls, findings kept in fenceproof-corpus/
 */
import {
  design,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_fence_wait,
  if_ret,
  ioctl,
  mutex_lock,
  mutex_unlock,
  queue_work,
  return_,
  sync_file_install,
  user,
  witness,
  work,
} from 'fenceproof';

export default design({
  name: '${name}',

  // The claim in a sentence: what somebody on the list says is right, or wrong.
  title: 'The worker takes the driver lock before it signals, so no ioctl may wait for its fence under that lock',

  // Where it is argued: the mail, the kernel file, the function. Every story ends with them.
  sources: ['drivers/gpu/drm/${snake}/${snake}_job.c'],

  // The choices that are argued about, each with its values, the tamest first. Every combination is searched.
  knobs: {
    ioctl_waits: ['after_unlock', 'under_the_lock'],
  },

  // The code, with these choices made. It is only data: nothing of it runs here.
  kernel: ({ ioctl_waits }) => ({
    // What there is. Workers, timers, rings and processes bring their own rows.
    objects: {
      locks: { '${snake}->lock': {} },
      fences: { job: {} },
    },

    // Who runs. A kernel thread must go on once it has begun; a process never owes anything.
    threads: {
      app: user(),
      job_work: work([
        mutex_lock('${snake}->lock'),
        witness('the worker has the lock'), // a situation without which an acquittal would say nothing
        dma_fence_signal('job'),
        mutex_unlock('${snake}->lock'),
      ]),
    },

    // What processes may call. Parameters have the values that they may take: ioctl({ bo: ['bo0', 'bo1'] }, [ … '$bo' … ]).
    calls: {
      submit: ioctl({}, [
        dma_fence_is_signaled('job'), // one job at a time
        if_ret('0', [return_('-EBUSY')]),
        dma_fence_init('job', 'job_work'), // from here on job_work owes the fence,
        sync_file_install('job'), //          and from here on everybody may wait for it
        queue_work('job_work'),
        mutex_lock('${snake}->lock'),
        ioctl_waits === 'under_the_lock' ? dma_fence_wait('job') : [],
        mutex_unlock('${snake}->lock'),
        ioctl_waits === 'after_unlock' ? dma_fence_wait('job') : [],
        return_('0'),
      ]),
    },

    // The bound of the exhaustive search: what each process calls, in order.
    workload: { app: ['submit()'] },
  }),

  // What the search must find, and why. \`check\` fails when it finds anything else.
  expect: [
    {
      when: { ioctl_waits: 'under_the_lock' },
      convicts: ['no-deadlock'],
      because: 'the worker needs the lock to signal, and who holds the lock waits for the signal',
    },
    {
      when: { ioctl_waits: 'after_unlock' },
      acquits: true,
      witnesses: ['the worker has the lock'],
      because: 'nobody waits for the fence under the lock',
    },
  ],
});
`;
};

/** A test of it, for vitest. */
export const startingTest = (name: string): string => {
  const camel = name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  return `import { expect, test } from 'vitest';
import 'fenceproof/vitest';
import ${camel} from './${name}.js';

test('nobody deadlocks who waits after the unlock', () => {
  expect(${camel}).toBeAcquitted({ knobs: { ioctl_waits: 'after_unlock' } });
});

test('who waits under the lock does', () => {
  expect(${camel}).toBeConvictedBy('no-deadlock', { knobs: { ioctl_waits: 'under_the_lock' } });
});
`;
};
