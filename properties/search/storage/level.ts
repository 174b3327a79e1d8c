/**
 * The states of a level, in blocks: a block that has been expanded is used again for the next level, so that a search
 * holds about one level, and nothing is ever copied to make room.
 *
 * A state is a row of whole words: the state itself (layout.ts), the two lanes of its key, the turn of every process,
 * and the way by which it was found. Where the state is its own key the lanes are the state.
 */
import type { Layout } from './layout.ts';

/** States in a block. Small enough that little is left unused, and that it may still be in a cache when it is read. */
export const BLOCK = 2048;
/** How many turns and ways a row of bytes, or of half words, can name. */
const FEW_NUMBERS = 0xff;
const MANY_NUMBERS = 0xffff;

/** What a row looks like. */
export interface Shape {
  readonly layout: Layout;
  /** The word at which the low lane of the key stands; the high one is the next. */
  readonly keyAt: number;
  /** The word at which the turns begin, a byte, half a word or a word each; the way comes after them. */
  readonly turnsAt: number;
  readonly turnsPerWord: 1 | 2 | 4;
  /** Words of a row. */
  readonly stride: number;
}
/** @param linear the state is its own key */
export function shapeOf(layout: Layout, linear: boolean, threads: number, numbers: number): Shape {
  const turnsPerWord = numbers <= FEW_NUMBERS ? 4 : numbers <= MANY_NUMBERS ? 2 : 1;
  const keyAt = linear ? 0 : layout.words;
  const turnsAt = linear ? 2 : layout.words + 2;
  return { layout, keyAt, turnsAt, turnsPerWord, stride: turnsAt + Math.ceil((threads + 1) / turnsPerWord) };
}
export const names = ({ turnsPerWord }: Shape, numbers: number): boolean =>
  turnsPerWord === 1 || numbers <= (turnsPerWord === 4 ? FEW_NUMBERS : MANY_NUMBERS);
/** What stands for no way: the boot state was found by none, and a state from elsewhere by one that is not known here. */
export const noWay = ({ turnsPerWord }: Shape): number =>
  turnsPerWord === 4 ? FEW_NUMBERS : turnsPerWord === 2 ? MANY_NUMBERS : -1;

export class Block {
  readonly rows: Int32Array;
  /** The same memory, half a word and a byte at a time. */
  readonly halves: Uint16Array;
  readonly bytes: Uint8Array;
  readonly stride: number;
  count = 0;

  constructor(stride: number, room: number = BLOCK) {
    this.stride = stride;
    this.rows = new Int32Array(stride * room);
    this.halves = new Uint16Array(this.rows.buffer);
    this.bytes = new Uint8Array(this.rows.buffer);
  }
}

/** The numbers of turns and ways in a block, to be indexed by what a word has of them. */
export const turnsOf = (
  { rows, halves, bytes }: Block,
  { turnsPerWord }: Shape,
): Uint8Array | Uint16Array | Int32Array => (turnsPerWord === 4 ? bytes : turnsPerWord === 2 ? halves : rows);

/** Two levels, the one that is expanded and the one that comes of it. */
export class Levels {
  now: Block[] = [];
  next: Block[] = [];
  private spare: Block[] = [];
  shape: Shape;

  constructor(shape: Shape) {
    this.shape = shape;
  }

  get bytes(): number {
    return (this.now.length + this.next.length + this.spare.length) * this.blockBytes;
  }
  /** Bytes that `n` states more in the next level may take on top. */
  growth(n: number): number {
    const last = this.next.at(-1);
    const room = (last ? BLOCK - last.count : 0) + this.spare.length * BLOCK;
    return Math.max(0, Math.ceil((n - room) / BLOCK)) * this.blockBytes;
  }
  /** A block of the next level with room for one more. */
  open(): Block {
    const last = this.next[this.next.length - 1];
    if (last !== undefined && last.count < BLOCK) return last;
    const block = this.spare.pop() ?? new Block(this.shape.stride);
    block.count = 0;
    this.next.push(block);
    return block;
  }
  /** The oldest block of this level has been expanded. */
  done(): void {
    const block = this.now.shift();
    if (block) this.spare.push(block);
  }
  /** The next level becomes this one. */
  turn(): void {
    this.now = this.next;
    this.next = [];
  }
  /** Bytes that rows of this shape would take on top. */
  moreAs({ stride }: Shape): number {
    return (this.now.length + this.next.length) * BLOCK * 4 * Math.max(0, stride - this.shape.stride);
  }
  /** Rows look different from now on: `move` writes one from an old block to its place in a new one. */
  reshape(shape: Shape, move: (from: Block, to: Block, state: number) => void): void {
    this.shape = shape;
    this.spare = [];
    for (const blocks of [this.now, this.next])
      blocks.forEach((old, nth) => {
        const block = new Block(shape.stride);
        block.count = old.count;
        for (let state = 0; state < old.count; state += 1) move(old, block, state);
        blocks[nth] = block;
      });
  }

  private get blockBytes(): number {
    return BLOCK * this.shape.stride * 4;
  }
}
