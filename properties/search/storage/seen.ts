/**
 * What a search asks of its memory: which of these states were never seen before?
 *
 * There are four answers to "how are states remembered", and a search does not care which it is given: counts, depths
 * and verdicts are the same in every mode that is exact, and the others say what they may have left out.
 *
 * Questions come in batches, as steps out of states of one level, so that a memory larger than any cache can overlap
 * its accesses, and so that a state is built only when the mode needs to see it.
 */
import type { Learned } from '../learned.ts';
import { BitSeen } from './bits.ts';
import { FingerprintSeen } from './fingerprint-seen.ts';
import { FullSeen } from './full.ts';
import type { Layout } from './layout.ts';
import type { Block } from './level.ts';
import { PackedSeen } from './packed.ts';
import { TreeSeen } from './tree.ts';

/** Steps that lead to states which are perhaps new. */
export interface Candidates {
  /** The states that the steps leave; rows that begin with the state as it is laid out. */
  block: Block;
  /** The two lanes of the fingerprint of the state that each step leads to; with a folding, of its key. */
  readonly highs: Int32Array;
  readonly lows: Int32Array;
  /** Which state of the block, and the id of the way it goes; no way, less than zero, is the state itself. */
  readonly froms: Int32Array;
  readonly ways: Int32Array;
}
/** Plain numbers that a memory can be made of again, by name. */
export type Arrays = Record<string, Uint8Array | Uint16Array | Int32Array | Float64Array>;

/** A one-to-one key for each state, made from the key of the state before and what a step changes. */
export interface Folding {
  /** The state on which it stands. */
  readonly words: Uint16Array;
  /** Stand on this state: given in full, or by its key. */
  stand(words: Uint16Array, at: number): void;
  unfold(high: number, low: number): void;
  /** Write the key of the state that a way leads to, or of the state itself, to these lanes. */
  key(way: number, highs: Int32Array, lows: Int32Array, at: number): void;
}

export interface Seen {
  /** When there is one, candidates are known by its keys and not by fingerprints, and a level keeps only keys. */
  readonly folding?: Folding;
  /**
   * States are laid out otherwise from now on.
   * @returns a folding, when states do not go on being their own keys
   */
  rekey?(from: Layout, to: Layout): Folding | undefined;
  /** Bytes held. */
  readonly bytes: number;
  /** Bytes that adding `n` states may take on top, at the worst moment. */
  growth(n: number): number;
  /**
   * Remember the states that candidates 0 … n - 1 lead to.
   * @param fresh receives the numbers of those that were not known, in order
   * @returns how many those were
   */
  add(candidates: Candidates, n: number, fresh: Int32Array): number;
  /** What may have been left out, in words; nothing when the mode is exact. `states` is how many were found. */
  doubt(states: number): Doubt | undefined;
  /** All that is remembered, and back; views, to be written before the search goes on. */
  save(): Arrays;
  restore(arrays: Arrays): void;
}
export interface Doubt {
  /** False when the mode gives up on saying that every state was searched. */
  readonly exhaustive: boolean;
  readonly says: string;
}

export const MODES = ['full', 'packed', 'fingerprints', 'tree', 'bits'] as const;
export type Mode = (typeof MODES)[number];

export interface SeenOptions {
  /** States to make room for at once. */
  readonly expect?: number;
  /** The bit array of the mode `bits`: its length is 2 to this, and how many bits are set for a state. */
  readonly bits?: { readonly log2: number; readonly hashes: number };
}

export function newSeen(mode: Mode, learned: Learned<object, unknown>, options: SeenOptions = {}): Seen {
  switch (mode) {
    case 'full':
      return new FullSeen(learned);
    case 'packed':
      return new PackedSeen(learned, options.expect);
    case 'fingerprints':
      return new FingerprintSeen(options.expect);
    case 'tree':
      return new TreeSeen(learned, options.expect);
    case 'bits':
      return new BitSeen(options.bits);
  }
}
