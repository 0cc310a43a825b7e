"""The style sheet of a diagram, in light and dark."""

STYLE = """
.az{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;background:var(--az-back,#fff)}
.az text{fill:var(--az-ink,#1d2733);text-anchor:middle}.az .t{font-weight:600}.az .s{fill:var(--az-soft,#5b6878)}
.az text.f,.az text.r{text-anchor:start;fill:var(--az-soft,#5b6878)}.az text.r{font-weight:600;font-size:13px}
.az text.f{paint-order:stroke;stroke:var(--az-back,#fff);stroke-width:4px;stroke-linejoin:round}
.az rect{stroke:var(--az-line,#8a97a8);fill:var(--az-box,#f4f6f9)}.az rect.f{fill:var(--az-frame,#1d273308);stroke:none}
.az .conv{fill:var(--az-conv,#dcebfb);stroke:var(--az-conv-line,#5b93cc)}
.az .pool{fill:var(--az-pool,#def3e4);stroke:var(--az-pool-line,#5aa574)}
.az .linear,.az .layer{fill:var(--az-linear,#fdead2);stroke:var(--az-linear-line,#cf964a)}
.az .part{fill:var(--az-part,#e9e4f7);stroke:var(--az-part-line,#8c78c4)}
.az .join,.az .image{fill:var(--az-back,#fff)}
.az path{fill:none;stroke:var(--az-line,#8a97a8);stroke-width:1.3}.az path.a{fill:var(--az-line,#8a97a8);stroke:none}
.az path.r{stroke-dasharray:3 3}
"""
DARK = """
@media (prefers-color-scheme:dark){.az{--az-back:#12171e;--az-ink:#e4e9f0;--az-soft:#9aa7b8;--az-line:#76849a;
--az-box:#1d2530;--az-frame:#ffffff0c;--az-conv:#173450;--az-conv-line:#5b93cc;--az-pool:#173a26;--az-pool-line:#5aa574;
--az-linear:#43300f;--az-linear-line:#cf964a;--az-part:#2c2548;--az-part-line:#8c78c4}}
"""
