/**
 * The exporter moves the buffer, or takes it away, and the importers' devices find it, or not (include/linux/dma-buf.h,
 * drivers/vfio/pci/vfio_pci_dmabuf.c; B-12, B-20..B-25).
 */
import { type KernelObject, type KernelState, complain, instruction, note, pushCall, returns } from '../machine.ts';
import { attachmentRow, attachmentsOf, bufRow, convention, onAttachment, onBuf } from './dma-buf.ts';

/** Tell every dynamic importer that its mapping will not do much longer; reservation held (B-20, B-42). */
export const dma_buf_move_notify = instruction('dma_buf_move_notify', (buf: string) => ({ buf }), {
  text: ({ buf }) => `dma_buf_move_notify(${buf})`,
  touches: onBuf,
  run: (kernel, me, { buf }) => {
    convention(kernel, me, buf, 'dma_buf_move_notify', 'B-42', 'held');
    for (const attach of attachmentsOf(kernel, buf).toReversed()) {
      const row = attachmentRow(kernel, attach);
      if (!row.attached || row.invalidate === '') continue;
      row.notified = row.mapping !== 'none';
      pushCall(kernel, me, row.invalidate, { attach, buf });
    }
  },
});
/** In its callback, the importer remembers that new work needs a new mapping; what there is goes on until then (B-21). */
export const mark_mapping_stale = instruction('mark_mapping_stale', (attach: string) => ({ attach }), {
  text: ({ attach }) => `${attach}->importer_priv->stale = true`,
  touches: onAttachment,
  run: (kernel, _me, { attach }) => {
    attachmentRow(kernel, attach).stale = true;
  },
});
/** What the importer knows of its mapping, whatever the exporter did: ret 'none', 'stale' when it was marked, or 'good'. */
export const known_mapping = instruction('known_mapping', (attach: string) => ({ attach }), {
  text: ({ attach }) => `${attach}->importer_priv`,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const { mapping, stale } = attachmentRow(kernel, attach);
    returns(kernel, me, mapping === 'none' ? 'none' : stale ? 'stale' : 'good');
  },
});
/**
 * The exporter decides to move it: new mappings lead to the new place, old ones must not be used by new work. From
 * here to dma_buf_finish_move the contents are on their way (B-12, B-20..B-24).
 */
export const dma_buf_begin_move = instruction('dma_buf_begin_move', (buf: string) => ({ buf }), {
  text: ({ buf }) => `move(${buf}) /* begins */`,
  touches: onBuf,
  run: (kernel, me, { buf }) => beginMove(kernel, me, buf, 'moves'),
});
function beginMove(kernel: KernelState, me: string, buf: string, verb: string): void {
  convention(kernel, me, buf, 'a move', 'B-24', 'held');
  const row = bufRow(kernel, buf);
  if (row.pins > 0) complain(kernel, me, 'B-12', `${me} ${verb} ${buf} while it is pinned`);
  for (const attach of attachmentsOf(kernel, buf)) {
    const each = attachmentRow(kernel, attach);
    if (each.mapping !== 'current') continue;
    if (each.dynamic && !each.notified) complain(kernel, me, 'B-20', `${me} ${verb} ${buf} and has not told ${attach}`);
    if (!each.dynamic && row.pins === 0)
      complain(kernel, me, 'I-15', `${me} ${verb} ${buf} while ${attach} has it mapped`);
    each.mapping = 'old';
  }
  row.moving = true;
}
/** The copy is done, and the old place is somebody else's: whoever still uses an old mapping finds that (B-22). */
export const dma_buf_finish_move = instruction('dma_buf_finish_move', (buf: string) => ({ buf }), {
  text: ({ buf }) => `move(${buf}) /* is over */`,
  touches: onBuf,
  run: (kernel, _me, { buf }) => {
    bufRow(kernel, buf).moving = false;
    for (const attach of attachmentsOf(kernel, buf))
      if (attachmentRow(kernel, attach).mapping === 'old') attachmentRow(kernel, attach).mapping = 'gone';
  },
});
/** The storage will go for good: no new mapping, and the old ones as with a move (drivers/vfio/pci/vfio_pci_dmabuf.c). */
export const dma_buf_revoke = instruction('dma_buf_revoke', (buf: string) => ({ buf }), {
  text: ({ buf }) => `revoke(${buf})`,
  touches: onBuf,
  run: (kernel, me, { buf }) => {
    bufRow(kernel, buf).revoked = true;
    beginMove(kernel, me, buf, 'revokes');
  },
});

/** Why a device that uses its mapping reaches the wrong memory, or nothing (B-21, B-22, B-25). */
export function staleMapping(kernel: KernelState, attach: string): string | null {
  const { buf, mapping } = attachmentRow(kernel, attach);
  if (mapping === 'none') return `${attach} has no mapping`;
  if (mapping === 'gone') return `the mapping of ${attach} leads to where ${buf} was`;
  return mapping === 'current' && bufRow(kernel, buf).moving ? `the move of ${buf} is not over` : null;
}
/** The importer's device uses the mapping. */
export const dma_buf_device_access = instruction('dma_buf_device_access', (attach: string) => ({ attach }), {
  text: ({ attach }) => `the device behind ${attach} uses its mapping`,
  touches: onAttachment,
  run: (kernel, me, { attach }) =>
    note(kernel, me, {
      kind: 'accesses',
      bo: attachmentRow(kernel, attach).buf,
      by: me,
      stale: staleMapping(kernel, attach),
    }),
});

export const dmaBufMove: KernelObject = {
  ops: [
    dma_buf_move_notify,
    mark_mapping_stale,
    known_mapping,
    dma_buf_begin_move,
    dma_buf_finish_move,
    dma_buf_revoke,
    dma_buf_device_access,
  ],
};
