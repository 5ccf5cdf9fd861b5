"""Names and words the corpus is made of: several scripts, so that headers need encoded words and bodies charsets."""

# (display name, local part, domain); the local parts are ASCII because addresses are.
PEOPLE = [
    ("Anneliese Brandt", "anneliese.brandt", "werkstatt.example"),
    ("James Whitfield", "jwhitfield", "harbour.example"),
    ("Priya Raman", "priya.raman", "lotus.example"),
    ("O'Connor, Sinéad", "sinead", "liffey.example"),
    ("Łukasz Wiśniewski", "lukasz", "wisla.example"),
    ("Zoë Desmarais", "zoe.desmarais", "atelier.example"),
    ("Jürgen Groß", "j.gross", "werkstatt.example"),
    ("Björn Ångström", "bjorn", "fjord.example"),
    ("María José Núñez", "mj.nunez", "sierra.example"),
    ("João Conceição", "joao", "tejo.example"),
    ("Δημήτρης Παπαδόπουλος", "dimitris", "aegean.example"),
    ("Ελένη Γεωργίου", "eleni.g", "aegean.example"),
    ("Наталья Соколова", "n.sokolova", "neva.example"),
    ("Алексей Кузнецов", "kuznetsov", "neva.example"),
    ("山田 太郎", "yamada", "sakura.example"),
    ("佐藤 美咲", "misaki.sato", "sakura.example"),
    ("王小明", "wang.xm", "yangtze.example"),
    ("김지훈", "jihoon.kim", "hangang.example"),
    ("יעל כהן", "yael", "galil.example"),
    ("فاطمة الزهراء", "fatima", "atlas.example"),
    ("Nguyễn Thị Hương", "huong.nguyen", "mekong.example"),
    ("Çağla Yılmaz", "cagla", "bosphorus.example"),
    ("Tom Baker", "tom", "harbour.example"),
    ("Rosalind Achterberg", "rosalind", "polder.example"),
    ("build system", "noreply", "ci.harbour.example"),
    ("Newsletter", "news", "shop.example"),
]

SUBJECTS = [
    "Minutes of the meeting on Thursday", "Invoice 2023-0417", "Re-opening of the reading room",
    "Question about the new timetable", "Lunch?", "Draft of chapter three", "Your order has been shipped",
    "[garden] Watering plan for July", "[dev] Crash when the window is resized", "Holiday photographs",
    "Reminder: parents' evening", "Quarterly figures", "Broken lift in the east wing", "Concert tickets",
    "[dev] Patch for the date parser", "Travel arrangements to Lyon", "Welcome to the choir",
    "Change of address", "Meeting room 4 is double-booked", "Build 8812 failed", "Weekly offers",
    "Übersicht der Änderungen", "Grüße aus dem Süden", "Réunion de préparation à l'été",
    "Facture n° 118 — échéance", "Wycieczka w góry", "Résumé et pièces jointes", "Programa de la excursión",
    "Πρόγραμμα της εβδομάδας", "Встреча в пятницу", "Отчёт за третий квартал", "会議の議事録について",
    "来週の予定", "关于新项目的讨论", "회의 일정 변경", "סיכום הפגישה", "جدول الاجتماعات", "Tätigkeitsbericht März",
]

WORDS = {
    "en": """the of and to in a is that for it as was with be by on not he his but at are this have from or had an
        they which one you were all her she there would their we him been has when who will no more if out so up said
        what its about than into them can only other time new some could these two may first then do any like my now
        over such our man me even most made after also did many off before must well back through years where much your
        way down should because long each just state people too mr how little good world make very year still see own
        work men day get here between life being another under never know same last us great old year come since go
        garden window harbour letter timber kettle meadow lantern orchard railway bridge morning evening copper
        notebook carpenter violin saddle thunder pebble willow ladder pencil cottage engine market bakery platform
        library ceiling curtain basket hammer bottle island valley weather winter summer autumn spring""",
    "de": """der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus
        er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor
        zur bis mehr durch man sein wurde sei prüfen größer Straße Fähre Gärten Müller Brücke Öfen Übung schön""",
    "fr": """de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont la mais
        comme ou si leur y dont elle deux été même aussi à où très après déjà forêt château élève garçon façon""",
    "ru": """и в не на я быть он с что а по это она этот к но они мы весь который из у то за свой от со для так
        о же ты все если человек только год время рука дело когда другой наш мой знать стать при письмо дорога""",
    "el": """και το να του η της με που την από για τα στο ο οι τον είναι στη θα μια ένα τους δεν στην αυτό σε όπως
        ή μας πολύ κατά μετά σπίτι θάλασσα δρόμος γράμμα""",
    "ja": """これは 会議 資料 です。 明日の 予定を 確認 してください。 よろしく お願いします。 東京 京都 手紙 電車 図書館
        新しい 計画 について 話し合い ました。 写真を 添付 します。""",
}

FILES = [
    ("report.pdf", "application/pdf"), ("photo_0142.jpg", "image/jpeg"), ("Übersicht.pdf", "application/pdf"),
    ("archive.zip", "application/zip"), ("scan.png", "image/png"), ("figures.ods",
    "application/vnd.oasis.opendocument.spreadsheet"), ("会議.pdf", "application/pdf"),
]
