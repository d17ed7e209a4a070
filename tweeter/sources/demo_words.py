"""The invented world of the demo: a harbour town, its people and what they write. All ours."""

DEMO_KEYWORDS = ("harbour OR #harbour", '"night train"', "猫")

PEOPLE = (
    ("mara_lind", "Mara Lind"),
    ("otto.brandt", "Otto Brandt"),
    ("yuki_n", "ゆき"),
    ("lucia_vega", "Lucía Vega"),
    ("samir_h", "سمير"),
    ("nok_s", "น้องนก"),
    ("tomasz_w", "Tomasz W."),
    ("asha_rao", "आशा राव"),
    ("joon_p", "박준"),
    ("ines_mor", "Inês Moreira"),
    ("night_owl_7", "night owl 🦉"),
    ("the_gullwatcher", "The Gull Watcher"),
)

# (language, text); {n} a number, {place} a place. About two thirds match a demo keyword.
ORDINARY = (
    ("en", "The harbour is quiet this morning, only the gulls and me."),
    ("en", "Tickets for the night train to {place} are on sale again. {n} left!"),
    ("en", "Fog over the harbour, ferries run {n} minutes late ⛴️"),
    ("en", "Took the night train from {place}. Woke up to snow. Worth it."),
    ("en", "Anyone else hear the harbour bell ring {n} times? #harbour"),
    ("en", "New café at the old customs house. The cinnamon buns are dangerous."),
    ("en", "Bike lane on {place} Street is open. Finally."),
    ("de", "Heute Abend Konzert am Hafen, Eintritt frei. #harbour #hafenfest"),
    ("de", "Der night train nach {place} hat schon wieder {n} Minuten Verspätung 😅"),
    ("de", "Wer hat in {place} einen grünen Regenschirm verloren?"),
    ("es", "El puerto amanece con niebla y café caliente. #harbour"),
    ("es", "Perdí el autobús a {place}, pero gané una historia."),
    ("ja", "港で猫に会った。{n}匹もいた。"),
    ("ja", "うちの猫が夜行列車の動画をずっと見ている。"),
    ("ja", "{place}は今日も雨。"),
    ("ar", "الميناء هادئ هذا الصباح #harbour"),
    ("ar", "القهوة في {place} أفضل من أي مكان آخر."),
    ("th", "แมวที่ท่าเรือนอนทั้งวัน 猫"),
    ("hi", "बंदरगाह पर आज बहुत भीड़ है। #harbour"),
    ("ko", "오늘 항구 산책. 바람이 좋다 #harbour"),
    ("pt", "O night train para {place} tem vagão-restaurante outra vez!"),
)

BURST = (
    ("en", "Did the lights at the harbour just go out?? #harbour"),
    ("en", "Whole harbour dark. {n} ships waiting outside. #harbour"),
    ("de", "Am Hafen ist der Strom weg! #harbour"),
    ("ja", "港が真っ暗。猫もびっくり。#harbour"),
    ("es", "Apagón en el puerto, vengan con cuidado #harbour"),
    ("en", "Lights are back at the harbour. Applause from {n} balconies. #harbour"),
)

# What strangers try: it must show as plain text.
HOSTILE = (
    "harbour <script>document.title='gone'</script><img src=x onerror=alert(1)>",
    "harbour \u202etxet desrever\u202c and back again",
    "harbour z" + "\u0301\u0323\u0330" * 40 + "algo",
    "harbour javascript:alert(1) \u0007\u001b[31m red?",
)

PLACES = ("Nordvik", "Alta Serra", "Minami", "Ostbrück", "San Telmo", "Kestrel Bay", "Wadi Noor")
SITES = ("https://news.example.org/{n}", "https://ferry.example.net/times?line={n}")
