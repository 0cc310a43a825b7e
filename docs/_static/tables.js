// Each cell knows the head of its column, which stands beside it on a narrow screen.
for (const table of document.querySelectorAll(".table-wrapper table")) {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])].map((head) => head.textContent);
  for (const body of table.tBodies)
    for (const row of body.rows) [...row.cells].forEach((cell, column) => (cell.dataset.head = heads[column] ?? ""));
}
