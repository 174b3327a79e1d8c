/**
 * Faults of the engine, planted one at a time: for a test that shows which checks catch them. Each is a method that for a
 * while does something else, in one place of the search: what it remembers, what it reads, what it takes for independent,
 * for equal, for the way it came.
 *
 * Some faults change nothing on some systems; the test tells these from faults that were missed.
 */
import type { Property } from '../property.ts';
import { Chains } from './chains.ts';
import { FingerprintTable } from './fingerprints.ts';
import { StepJudges } from './judges.ts';
import { Learned, type Turn } from './learned.ts';
import { Packing } from './packed.ts';
import { Recorder } from './recorder.ts';
import { Clusters } from './reductions/cluster.ts';
import { Judgements } from './reductions/judgements.ts';
import { Knowledge } from './reductions/knowledge.ts';
import { BitSeen } from './storage/bits.ts';
import { NodeTable } from './storage/nodes.ts';
import { Parents } from './storage/parents.ts';
import { StateStore } from './store.ts';
import type { Sweep } from './sweep.ts';

/** How the verdict under attack is made. */
export type Attacked = 'usual' | 'full' | 'tree' | 'fingerprints' | 'depth' | 'reduced';
export interface Fault {
  readonly kind: string;
  readonly name: string;
  readonly attacks: Attacked;
  /** Run something with the fault in place. */
  readonly with: <R>(run: () => R) => R;
}

type Method = (this: any, ...given: any[]) => any;
/** A fault that replaces a method; `make` is called for each run, with the method as it is. */
function planted(
  kind: string,
  name: string,
  attacks: Attacked,
  prototype: object,
  method: string,
  make: (real: Method) => Method,
): Fault {
  return {
    ...{ kind, name: `${kind}: ${name}`, attacks },
    with(run) {
      const owner = prototype as Record<string, Method>;
      const real = owner[method] as Method;
      owner[method] = make(real);
      try {
        return run();
      } finally {
        owner[method] = real;
      }
    },
  };
}
