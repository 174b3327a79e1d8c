/** Importers of a dma_buf come and go (drivers/dma-buf/dma-buf.c; B-5..B-7, B-18). */
import { type Block, type KernelObject, complain, instruction, returns } from '../machine.ts';
import { attachmentRow, convention, exporter_op, isPinnedBy, of_attachment, onAttachment, passOn } from './dma-buf.ts';
import { call, if_ret, return_ } from './flow.ts';
import { kmalloc } from './memory.ts';
import { dma_resv_lock, dma_resv_unlock } from './resv.ts';
import { newer } from './version.ts';

const attach_checks = instruction('dma_buf_attach', (attach: string) => ({ attach }), {
  text: ({ attach }) => `${attach} = dma_buf_attach()`,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const { buf, dynamic, invalidate } = attachmentRow(kernel, attach);
    convention(kernel, me, buf, 'dma_buf_attach', 'B-6', 'not held');
    const lacks = dynamic && invalidate === '';
    if (lacks) complain(kernel, me, 'B-6', `${attach} is a dynamic importer without a callback for moves`);
    returns(kernel, me, lacks ? '-EINVAL' : '0');
  },
});
const attach_links = instruction('dma_buf_attach_links', (attach: string) => ({ attach }), {
  text: ({ attach }) => `list_add(${attach}, &dmabuf->attachments)`,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    attachmentRow(kernel, attach).attached = true;
    const caches = isPinnedBy(kernel, attach) && !newer(kernel, 'static_attach_maps_on_map');
    returns(kernel, me, caches ? 'maps' : '0');
  },
});
const attach_caches = instruction('dma_buf_attach_caches', (attach: string) => ({ attach }), {
  text: ({ attach }) => `${attach}->sgt = sgt`,
  local: true,
  touches: onAttachment,
  run: (kernel, _me, { attach }) => {
    attachmentRow(kernel, attach).cached = true;
  },
});
/** Attach a device: ret '0', '-EINVAL', '-ENOMEM', or why the exporter refuses, such as '-EBUSY' (B-6). */
export const dma_buf_attach = (attach: string): Block => [call('dma_buf_attach', { attach })];

const detach_checks = instruction('dma_buf_detach', (attach: string) => ({ attach }), {
  text: ({ attach }) => `dma_buf_detach(${attach})`,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const { buf, attached, mapping, cached, pins } = attachmentRow(kernel, attach);
    convention(kernel, me, buf, 'dma_buf_detach', 'B-7', 'not held');
    if (!attached) complain(kernel, me, 'B-7', `${me} detaches ${attach}, which is not attached`);
    if (mapping !== 'none' && !cached) complain(kernel, me, 'B-7', `${me} detaches ${attach}, which is still mapped`);
    if (pins > 0) complain(kernel, me, 'B-12', `${me} detaches ${attach}, which still pins ${buf}`);
  },
});
const detach_unlinks = instruction('dma_buf_detach_unlinks', (attach: string) => ({ attach }), {
  text: ({ attach }) => `list_del(${attach})`,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const row = attachmentRow(kernel, attach);
    returns(kernel, me, row.cached ? 'maps' : '0');
    Object.assign(row, { attached: false, cached: false, notified: false });
  },
});
export const dma_buf_detach = (attach: string): Block => [call('dma_buf_detach', { attach })];

export const dmaBufAttach: KernelObject = {
  ops: [attach_checks, attach_links, attach_caches, detach_checks, detach_unlinks],
  routines: {
    dma_buf_attach: [
      of_attachment('$attach'),
      attach_checks('$attach'),
      passOn('-EINVAL'),
      kmalloc('GFP_KERNEL', 'attach'),
      passOn('-ENOMEM'),
      exporter_op('$buf', 'attach', '$attach'),
      if_ret('0', [], [return_('ret')]),
      dma_resv_lock('$resv'),
      attach_links('$attach'),
      if_ret('maps', [call('dma_buf_map_attachment', { attach: '$attach' }), attach_caches('$attach')]),
      dma_resv_unlock('$resv'),
      return_('0'),
    ],
    dma_buf_detach: [
      of_attachment('$attach'),
      detach_checks('$attach'),
      dma_resv_lock('$resv'),
      detach_unlinks('$attach'),
      if_ret('maps', [call('dma_buf_unmap_attachment', { attach: '$attach' })]),
      dma_resv_unlock('$resv'),
      exporter_op('$buf', 'detach', '$attach'),
      return_('0'),
    ],
  },
};
