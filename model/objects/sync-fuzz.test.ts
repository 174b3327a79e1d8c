/**
 * Implicit synchronisation against a table of who uses the buffer how (include/linux/dma-resv.h; R-22..R-25): a reader waits
 * for writers and moves, a writer for readers too, everybody for the kernel's moves, and nobody needs to wait for
 * housekeeping.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Oracle, type Side, bouts, calls, inCall } from '../bout.ts';
import { ioctl } from '../design.ts';
import { bootKernel } from '../stage.ts';
import {
  type Access,
  USAGES,
  type Usage,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  implicit_sync_wait,
  job_starts,
  user,
} from './index.ts';

const FENCES = ['f', 'g', 'h', 'vm'] as const;
const ACCESSES = ['read', 'write', 'explicit'] as const;
const WAITERS = ['one', 'two', 'skipper'] as const;
const booted = bootKernel({
  objects: {
    resvs: { bo: {} },
    fences: Object.fromEntries(FENCES.map((fence) => [fence, {}])),
    housekeeping: { vm: { owner: 'vm' } },
  },
  threads: { task: user(), ...Object.fromEntries(WAITERS.map((each) => [each, user()])) },
  calls: {
    put: ioctl({ fence: FENCES, usage: USAGES }, [
      dma_resv_lock('bo'),
      dma_resv_reserve_fences('bo'),
      dma_resv_add_fence('bo', '$fence', '$usage' as Usage),
      dma_resv_unlock('bo'),
    ]),
    init: ioctl({ fence: FENCES }, [dma_fence_init('$fence')]),
    signal: ioctl({ fence: FENCES }, [dma_fence_signal('$fence')]),
    starts: ioctl({ access: ACCESSES, but: FENCES }, [job_starts('job', 'bo', '$access' as Access, '$but')]),
    wait: ioctl({ access: ACCESSES }, implicit_sync_wait('bo', '$access' as Access)),
    wait_but_vm: ioctl({ access: ACCESSES }, implicit_sync_wait('bo', '$access' as Access, 'vm')),
  },
});
type What = 'put' | 'init' | 'signal' | 'starts' | (typeof WAITERS)[number];
type Command = readonly [what: What, fence: (typeof FENCES)[number], usage: Usage, access: Access];
const isWaiter = (what: What): what is (typeof WAITERS)[number] => WAITERS.some((each) => each === what);
const side: Side<Command> = {
  booted,
  plays: (kernel, [what, fence, usage, access]) => {
    const [who, text] = isWaiter(what)
      ? [what, `${what === 'skipper' ? 'wait_but_vm' : 'wait'}(${access})`]
      : [
          'task',
          what === 'put'
            ? `put(${fence}, ${usage})`
            : what === 'starts'
              ? `starts(${access}, ${fence})`
              : `${what}(${fence})`,
        ];
    return calls(booted, kernel, who, text).flatMap((fact) =>
      fact.kind === 'starts'
        ? [`missed ${fact.missed.toSorted().join(' ')}`]
        : fact.kind === 'waitsNeedlessly'
          ? [`needlessly ${fact.fence}`]
          : fact.kind === 'returned' && fact.to === 'user'
            ? ['back']
            : [],
    );
  },
  shows: (kernel) => WAITERS.filter((each) => inCall(kernel, each)),
};

/** `likeAReader`: a writer that waits for other writers only. */
class Table implements Oracle<Command> {
  /** Fences that are under way, and the strongest use that each stands for, once it stands on the buffer. */
  private readonly uses = new Map<string, Usage | undefined>();
  private readonly waiting = new Map<string, Access>();
  private readonly likeAReader: boolean;
  constructor(likeAReader = false) {
    this.likeAReader = likeAReader;
  }
  private inTheWay(access: Access): string[] {
    const writes = access === 'write' && !this.likeAReader;
    const matter: readonly Usage[] =
      access === 'explicit' ? ['KERNEL'] : ['KERNEL', 'WRITE', ...(writes ? (['READ'] as const) : [])];
    return [...this.uses].flatMap(([fence, usage]) => (usage !== undefined && matter.includes(usage) ? [fence] : []));
  }
  private waits(who: string, access: Access, begins: boolean): readonly string[] {
    const fences = this.inTheWay(access).filter((fence) => who !== 'skipper' || fence !== 'vm');
    const heard = begins && fences.includes('vm') ? ['needlessly vm'] : [];
    if (fences.length === 0) this.waiting.delete(who);
    else this.waiting.set(who, access);
    return fences.length === 0 ? [...heard, 'back'] : heard;
  }
  plays([what, fence, usage, access]: Command): readonly string[] | undefined {
    const pending = this.uses.has(fence);
    switch (what) {
      case 'init':
        if (pending) return undefined;
        this.uses.set(fence, undefined);
        return ['back'];
      case 'signal':
        if (!pending) return undefined;
        this.uses.delete(fence);
        return ['back'];
      case 'put': {
        if (!pending) return undefined;
        const before = this.uses.get(fence);
        const stays = before !== undefined && USAGES.indexOf(before) < USAGES.indexOf(usage);
        this.uses.set(fence, stays ? before : usage);
        return ['back'];
      }
      case 'starts': {
        const missed = this.inTheWay(access).filter((each) => each !== fence && each !== 'vm');
        return [`missed ${missed.toSorted().join(' ')}`, 'back'];
      }
      case 'one':
      case 'two':
      case 'skipper': {
        const known = this.waiting.get(what);
        return this.waits(what, known ?? access, known === undefined);
      }
    }
  }
  shows(): unknown {
    return WAITERS.filter((each) => this.waiting.has(each));
  }
}

const command: fc.Arbitrary<Command> = fc.tuple(
  fc.constantFrom<What>('init', 'init', 'put', 'put', 'put', 'signal', 'signal', 'starts', ...WAITERS),
  fc.constantFrom(...FENCES),
  fc.constantFrom(...USAGES),
  fc.constantFrom(...ACCESSES),
);

describe('implicit synchronisation against a table of uses', () => {
  test('who waits, who has to, what a job missed that did not wait, and what is none of its business', () => {
    expect(bouts(side, command, () => new Table(), 20)).toBeGreaterThan(1_000);
  });
  test('a writer that ignores readers is told apart', () => {
    expect(() => bouts(side, command, () => new Table(true), 20)).toThrow(/after/);
  });
  test('100,000 commands', { tags: ['long'] }, () => {
    expect(bouts(side, command, () => new Table(), 1_700)).toBeGreaterThan(100_000);
  });
});
